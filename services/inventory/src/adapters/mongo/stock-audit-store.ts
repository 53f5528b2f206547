import type { Collection } from "mongodb";
import type { SequenceRange, StockAuditStore } from "../../application/ports/stock-audit-store.ts";
import type { Closing, Decision, Move } from "../../domain/ledger.ts";
import type { Balance } from "../../domain/product.ts";
import type { WrittenEntry } from "../../domain/stock-audit.ts";
import { type LedgerEntryDocument, moveKey } from "./ledger-store.ts";
import { balanceToDocument, type ProductDocument } from "./product-document.ts";

const keysPerQuery = 500;
/** Small, because the largest entries have a thousand lines. */
const entriesPerBatch = 20;

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
    async movesOf(ranges) {
      const moves = new Map<string, Move[]>();
      for (const keys of inChunks(ranges.flatMap(keysOf))) {
        const wanted = new Set(keys);
        const productIds = keys.map((key) => key.slice(0, key.indexOf(":"))).sort();
        for await (const entry of ledger.aggregate<Pick<LedgerEntryDocument, "moves">>([
          { $match: { keys: { $in: keys } } },
          {
            $project: { moves: { $filter: { input: "$moves", cond: isBetween(productIds[0]!, productIds.at(-1)!) } } },
          },
        ])) {
          for (const move of entry.moves.map(toMove)) {
            if (!wanted.has(moveKey(move.productId, move.sequence))) continue;
            const known = moves.get(move.productId);
            if (known === undefined) moves.set(move.productId, [move]);
            else known.push(move);
          }
        }
      }
      return moves;
    },
    async moveTimes(sequences) {
      const times = new Map<string, Date>();
      for (const keys of inChunks([...sequences].map(([productId, sequence]) => moveKey(productId, sequence)))) {
        const wanted = new Map(keys.map((key) => [key, key.slice(0, key.indexOf(":"))]));
        const entries = ledger
          .find({ keys: { $in: keys } })
          .project<Pick<LedgerEntryDocument, "keys" | "create_time">>({ keys: 1, create_time: 1 });
        for await (const entry of entries) {
          for (const productId of entry.keys.map((key) => wanted.get(key))) {
            if (productId !== undefined) times.set(productId, entry.create_time);
          }
        }
      }
      return times;
    },
    async listEntries(after, limit, maxLines = Number.POSITIVE_INFINITY) {
      const entries: WrittenEntry[] = [];
      let lines = 0;
      const found = ledger
        .find(after === undefined ? {} : { _id: { $gt: after } })
        .sort({ _id: 1 })
        .limit(limit)
        .batchSize(entriesPerBatch)
        .project<LedgerEntryDocument>(entryFields);
      for await (const entry of found) {
        entries.push(toEntry(entry));
        lines += entry.moves.length + entry.decisions.length + entry.closings.length;
        if (lines >= maxLines) return { entries, isLast: false };
      }
      return { entries, isLast: entries.length < limit };
    },
    async findEntry(entryId) {
      const entry = await ledger.findOne({ _id: entryId }, { projection: entryFields });
      return entry === null ? undefined : toEntry(entry);
    },
    async reservationsOf(orderIds) {
      const wanted = new Set(orderIds);
      const closings = new Map<string, Set<Closing["outcome"]>>();
      const decisions = new Map<string, Decision>();
      for (const keys of inChunks(orderIds.flatMap((orderId) => steps.map((step) => `${orderId}:${step}`)))) {
        const entries = ledger
          .find({ keys: { $in: keys } })
          .project<Pick<LedgerEntryDocument, "decisions" | "closings">>({ decisions: 1, closings: 1 });
        // Streamed: an entry may have a thousand orders of which one is wanted.
        for await (const entry of entries) {
          for (const { order_id, outcome } of entry.closings) {
            if (wanted.has(order_id)) closings.set(order_id, (closings.get(order_id) ?? new Set()).add(outcome));
          }
          for (const decision of entry.decisions) {
            if (wanted.has(decision.order_id)) decisions.set(decision.order_id, toDecision(decision));
          }
        }
      }
      return new Map(
        [...decisions].map(([orderId, decision]) => [
          orderId,
          { decision, closings: closings.get(orderId) ?? new Set() },
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
          // The cached wrong balance has the same sequence, so only a new version replaces it.
          $inc: { version: 1 },
        },
      );
      return result.matchedCount === 1;
    },
  };
}

function inChunks(keys: readonly string[]): string[][] {
  const chunks: string[][] = [];
  for (let from = 0; from < keys.length; from += keysPerQuery) chunks.push(keys.slice(from, from + keysPerQuery));
  return chunks;
}

function keysOf({ productId, from, until }: SequenceRange): string[] {
  return Array.from({ length: until - from + 1 }, (_, index) => moveKey(productId, from + index));
}

/** One range instead of a comparison with each wanted product: the products of a part of the audit have adjacent ids. */
function isBetween(first: string, last: string) {
  return { $and: [{ $gte: ["$$this.product_id", first] }, { $lte: ["$$this.product_id", last] }] };
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
