import type { Balance } from "../../domain/product.ts";

/** A product's past balances, computed from the ledger. */
export interface StockHistory {
  /** The balances after each movement that follows `from`, in order, at most `limit`. */
  balancesAfter(productId: string, from: Balance, limit: number): Promise<Balance[]>;
  /** The balance right after movement `sequence`, which must not be after `now`. Reads all movements in between. */
  balanceAt(productId: string, now: Balance, sequence: number): Promise<Balance>;
}
