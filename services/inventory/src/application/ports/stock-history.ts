import type { Balance } from "../../domain/product.ts";

/** A product's past balances, computed from the ledger. */
export interface StockHistory {
  /** The balances after each of the `limit` movements that follow `from`, in order. They must exist. */
  balancesAfter(productId: string, from: Balance, limit: number): Promise<Balance[]>;
  /** The balance right after movement `sequence`, which must not be after `now`. Reads all movements in between. */
  balanceAt(productId: string, now: Balance, sequence: number): Promise<Balance>;
}
