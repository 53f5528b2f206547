import type { PendingEvent } from "@shop/messaging";
import type { Closing, Decision, EntryKind, EntryPlan, Movement } from "../../domain/ledger.ts";
import type { IdempotencyKey, Product } from "../../domain/product.ts";

export interface LedgerEntry {
  readonly kind: EntryKind;
  readonly plan: EntryPlan;
  /** At least one if the entry moves stock: the sweeper finds entries whose writer died before projecting them by their outbox. */
  readonly events: readonly PendingEvent[];
  readonly actor: string;
  readonly reason?: string;
  /** The idempotency key of an adjustment, unique within its product. */
  readonly requestId?: string;
  readonly time: Date;
}

/** The append-only ledger, the source of truth for stock. The balances in products are projections of it. */
export interface LedgerStore {
  /**
   * Runs a read of balances and the append that depends on it, one at a time in this process. Concurrent ones would mostly conflict, and
   * many small entries could keep a large one from ever succeeding. Correctness does not depend on it.
   */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /**
   * Commits an entry, projects it into the balances, and then publishes its events. False, and nothing stored, when another entry has one
   * of its keys: read the ledger again, and plan again what is left.
   */
  append(entry: LedgerEntry): Promise<boolean>;
  /**
   * Commits new products with their first received stock, all or none. With a key, "request_made", and nothing stored, when a product
   * with that key exists. Throws SKU_TAKEN.
   */
  insertProducts(
    products: readonly Product[],
    actor: string,
    key?: IdempotencyKey,
  ): Promise<"inserted" | "request_made">;
  /** Decisions by order id; undecided orders are missing. */
  decisionsOf(orderIds: readonly string[]): Promise<ReadonlyMap<string, Decision>>;
  /** The closings of orders by order id; orders whose reservation is open are missing. */
  closingsOf(orderIds: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<Closing["outcome"]>>>;
  /** A product's movements from number `sequence` downwards, at most `limit`. */
  movementsOf(productId: string, sequence: number, limit: number): Promise<Movement[]>;
  /** The change of units on hand of the adjustment with this idempotency key, if it exists. */
  findAdjustment(productId: string, requestId: string): Promise<number | undefined>;
  /** Projects all entries that the balances of these products do not include yet, by any writer. Safe to repeat. */
  catchUp(productIds: readonly string[]): Promise<void>;
}
