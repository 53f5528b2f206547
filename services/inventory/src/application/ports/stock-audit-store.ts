import type { Move } from "../../domain/ledger.ts";
import type { Balance } from "../../domain/product.ts";
import type { Reservation, WrittenEntry } from "../../domain/stock-audit.ts";

export interface StockBalance {
  readonly productId: string;
  readonly balance: Balance;
}

/** Numbers of a product's movements, inclusive. */
export interface SequenceRange {
  readonly productId: string;
  readonly from: number;
  readonly until: number;
}

export interface EntryPage {
  /** In the order of the ledger. */
  readonly entries: readonly WrittenEntry[];
  readonly isLast: boolean;
}

/** The audit's reads, and its one repair. All of them use an index and are bounded. */
export interface StockAuditStore {
  /** Sorted by id, from the first after `after`. */
  listBalances(after: string | undefined, limit: number): Promise<StockBalance[]>;
  findBalance(productId: string): Promise<Balance | undefined>;
  knownProducts(productIds: readonly string[]): Promise<Set<string>>;
  /** The existing moves with these numbers, by product id. Reads each entry once for up to 500 numbers. */
  movesOf(ranges: readonly SequenceRange[]): Promise<ReadonlyMap<string, readonly Move[]>>;
  /** The times of the moves with these numbers, by product id; moves that do not exist are missing. */
  moveTimes(sequences: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, Date>>;
  /** Entries from the first after `after`: at most `limit`, and no more once they have `maxLines` moves and steps together. */
  listEntries(after: string | undefined, limit: number, maxLines?: number): Promise<EntryPage>;
  findEntry(entryId: string): Promise<WrittenEntry | undefined>;
  /** Decisions and closings by order id; undecided orders are missing. */
  reservationsOf(orderIds: readonly string[]): Promise<ReadonlyMap<string, Reservation>>;
  /** Writes a balance by compare-and-set: false, and nothing written, when it is no longer `read`. */
  replaceBalance(productId: string, read: Balance, balance: Balance): Promise<boolean>;
}
