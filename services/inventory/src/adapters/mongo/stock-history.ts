import type { Collection } from "mongodb";
import type { StockHistory } from "../../application/ports/stock-history.ts";
import type { Balance } from "../../domain/product.ts";
import { type LedgerEntryDocument, moveKey } from "./ledger-store.ts";

/** Movements per query. */
const pageSize = 1_000;

export function createStockHistory(ledger: Collection<LedgerEntryDocument>): StockHistory {
  async function movesAfter(productId: string, sequence: number, limit: number) {
    const keys = Array.from({ length: limit }, (_, index) => moveKey(productId, sequence + 1 + index));
    const entries = await ledger
      .find({ keys: { $in: keys } })
      .project<Pick<LedgerEntryDocument, "moves">>({ moves: { $elemMatch: { product_id: productId } } })
      .toArray();
    return entries.flatMap(({ moves }) => moves).sort((a, b) => a.sequence - b.sequence);
  }

  /** Reads in progress, for all that want the same movements. They exist and never change, so it does not matter when a read began. */
  const reading = new Map<string, ReturnType<typeof movesAfter>>();
  function movesOnce(productId: string, sequence: number, limit: number) {
    const key = `${moveKey(productId, sequence)}+${limit}`;
    const moves = reading.get(key) ?? movesAfter(productId, sequence, limit).finally(() => reading.delete(key));
    reading.set(key, moves);
    return moves;
  }

  return {
    async balancesAfter(productId, from, limit) {
      const balances: Balance[] = [];
      let { onHand, reserved } = from;
      for (const move of await movesOnce(productId, from.sequence, limit)) {
        onHand += move.on_hand_delta;
        reserved += move.reserved_delta;
        balances.push({ onHand, reserved, sequence: move.sequence });
      }
      return balances;
    },

    async balanceAt(productId, now, sequence) {
      let { onHand, reserved } = now;
      for (let counted = sequence; counted < now.sequence; counted += pageSize) {
        for (const move of await movesAfter(productId, counted, Math.min(pageSize, now.sequence - counted))) {
          onHand -= move.on_hand_delta;
          reserved -= move.reserved_delta;
        }
      }
      return { onHand, reserved, sequence };
    },
  };
}
