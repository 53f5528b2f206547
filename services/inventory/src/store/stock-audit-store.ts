import type { Collection } from "mongodb";
import type { Closing, Decision, Move } from "../domain/ledger.ts";
import type { Balance } from "../domain/product.ts";
import type { Reservation, WrittenEntry } from "../domain/stock-audit.ts";
import type { LedgerEntryDocument } from "./ledger-store.ts";
import { balanceToDocument, type ProductDocument } from "./product-document.ts";

/** A product's balance, as it was read. */
export interface StockBalance {
  readonly productId: string;
  readonly balance: Balance;
}

/** What the audit reads, and the one thing that it mends: all of it in small bites, by index. */
export interface StockAuditStore {
  /** By id, those after `after`. */
  listBalances(after: string | undefined, limit: number): Promise<StockBalance[]>;
  findBalance(productId: string): Promise<Balance | undefined>;
  knownProducts(productIds: readonly string[]): Promise<Set<string>>;
  /** A product's moves of these places; those that nobody took are missing. */
  movesOf(productId: string, from: number, until: number): Promise<Move[]>;
  /** When the move at that place was made; undefined when there is none. */
  moveTime(productId: string, sequence: number): Promise<Date | undefined>;
  /** In the order of the ledger, those after `after`. */
  listEntries(after: string | undefined, limit: number): Promise<WrittenEntry[]>;
  findEntry(entryId: string): Promise<WrittenEntry | undefined>;
  /** What was decided for orders and what became of it; orders that were not decided are missing. */
  reservationsOf(orderIds: readonly string[]): Promise<ReadonlyMap<string, Reservation>>;
  /** Writes a balance over the one that was read; false, and nothing done, when it is no longer that. */
  replaceBalance(productId: string, read: Balance, balance: Balance): Promise<boolean>;
}

export function createStockAuditStore(
  ledger: Collection<LedgerEntryDocument>,
  products: Collection<ProductDocument>,
): StockAuditStore {
  const steps = ["decision", "close", "return"] as const;
  const entryFields = { keys: 1, moves: 1, decisions: 1, closings: 1 } as const;

  return {
    async listBalances(after, limit) {
      const documents = await products
        .find(after === undefined ? {} : { _id: { $gt: after } })
        .sort({ _id: 1 })
        .limit(limit)
        .project<Pick<ProductDocument, "_id" | "balance">>({ balance: 1 })
        .toArray();
      return documents.map(({ _id, balance }) => ({ productId: _id, balance: toBalance(balance) }));
    },
    async findBalance(productId) {
      const document = await products.findOne({ _id: productId }, { projection: { balance: 1 } });
      return document === null ? undefined : toBalance(document.balance);
    },
    async knownProducts(productIds) {
      const documents = await products
        .find({ _id: { $in: [...productIds] } })
        .project<Pick<ProductDocument, "_id">>({ _id: 1 })
        .toArray();
      return new Set(documents.map(({ _id }) => _id));
    },
    async movesOf(productId, from, until) {
      const keys = Array.from({ length: until - from + 1 }, (_, index) => `${productId}:${from + index}`);
      const entries = await ledger
        .find({ keys: { $in: keys } })
        .project<Pick<LedgerEntryDocument, "moves">>({ moves: { $elemMatch: { product_id: productId } } })
        .toArray();
      return entries.flatMap((entry) => (entry.moves ?? []).map(toMove));
    },
    async moveTime(productId, sequence) {
      const entry = await ledger.findOne({ keys: `${productId}:${sequence}` }, { projection: { create_time: 1 } });
      return entry?.create_time;
    },
    async listEntries(after, limit) {
      const entries = await ledger
        .find(after === undefined ? {} : { _id: { $gt: after } })
        .sort({ _id: 1 })
        .limit(limit)
        .project<LedgerEntryDocument>(entryFields)
        .toArray();
      return entries.map(toEntry);
    },
    async findEntry(entryId) {
      const entry = await ledger.findOne({ _id: entryId }, { projection: entryFields });
      return entry === null ? undefined : toEntry(entry);
    },
    async reservationsOf(orderIds) {
      const wanted = new Set(orderIds);
      const entries = await ledger
        .find({ keys: { $in: orderIds.flatMap((orderId) => steps.map((step) => `${orderId}:${step}`)) } })
        .project<Pick<LedgerEntryDocument, "decisions" | "closings">>({ decisions: 1, closings: 1 })
        .toArray();
      const closings = new Map<string, Set<Closing["outcome"]>>();
      for (const { order_id, outcome } of entries.flatMap((entry) => entry.closings)) {
        closings.set(order_id, (closings.get(order_id) ?? new Set()).add(outcome));
      }
      const decisions = entries.flatMap((entry) => entry.decisions).filter(({ order_id }) => wanted.has(order_id));
      return new Map(
        decisions.map((decision) => [
          decision.order_id,
          { decision: toDecision(decision), closings: closings.get(decision.order_id) ?? new Set() },
        ]),
      );
    },
    async replaceBalance(productId, read, balance) {
      const result = await products.updateOne(
        {
          _id: productId,
          "balance.on_hand": read.onHand,
          "balance.reserved": read.reserved,
          "balance.sequence": read.sequence,
        },
        {
          $set: balanceToDocument(balance),
          // What was cached of the wrong balance is of the same movement: only the version tells it apart.
          $inc: { version: 1 },
        },
      );
      return result.matchedCount === 1;
    },
  };
}

function toBalance({ on_hand, reserved, sequence }: ProductDocument["balance"]): Balance {
  return { onHand: on_hand, reserved, sequence };
}

function toMove({ product_id, sequence, on_hand_delta, reserved_delta }: LedgerEntryDocument["moves"][number]): Move {
  return { productId: product_id, sequence, onHandDelta: on_hand_delta, reservedDelta: reserved_delta };
}

function toDecision({ order_id, outcome, lines }: LedgerEntryDocument["decisions"][number]): Decision {
  return {
    orderId: order_id,
    outcome,
    lines: lines.map(({ product_id, quantity }) => ({ productId: product_id, quantity })),
  };
}

function toEntry({ _id, keys, moves, decisions, closings }: LedgerEntryDocument): WrittenEntry {
  return {
    entryId: _id,
    keys,
    moves: moves.map(toMove),
    decisions: decisions.map(toDecision),
    closings: closings.map(({ order_id, outcome }) => ({ orderId: order_id, outcome })),
  };
}
