import type { MethodImpl } from "@connectrpc/connect";
import { createBatchedRead } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { WatchFor } from "@shop/runtime";
import { toStockMessage } from "../adapters/proto/stock.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import type { StockHistory } from "../application/ports/stock-history.ts";
import { productNotFound, stockHistoryTooLong } from "../domain/errors.ts";
import type { Balance } from "../domain/product.ts";

/** Movements read in one turn, and kept in memory while the caller reads them. */
const pageSize = 100;
/** Products whose balances are read in one query. */
const maxProducts = 500;
/** A watch can resume this many movements back: a past balance is the current one minus all movements since. */
const maxBehind = 10_000;

/** Streams a product's stock after each movement. Safe to retry with the last sequence received: no movement is missed or repeated. */
export function watchStock(on: {
  readonly products: ProductStore;
  readonly history: StockHistory;
  readonly watch: WatchFor;
}): MethodImpl<typeof InventoryService.method.watchStock> {
  // An order moves several products, and all watches of a popular one read at the same time.
  const balanceOf = createBatchedRead({
    name: "read together balances",
    maxKeys: maxProducts,
    read: (productIds: readonly string[]) => on.products.balancesOf(productIds, "catalogue"),
  });
  return async function* ({ productId, afterSequence }, context) {
    const watch = on.watch(productId, context);
    /** The last balance that the caller has. */
    let known: Balance | undefined;

    async function readNews(): Promise<readonly Balance[]> {
      const now = await balanceOf(productId);
      if (now === undefined) throw productNotFound(productId);
      watch.version = now.sequence;
      if (known === undefined) {
        if (afterSequence === 0) return [now];
        if (now.sequence < afterSequence) return [];
        if (now.sequence - afterSequence > maxBehind) throw stockHistoryTooLong(productId, now.sequence);
        known = await on.history.balanceAt(productId, now, afterSequence);
      }
      const behind = now.sequence - known.sequence;
      if (behind > pageSize) watch.again();
      return behind > 0 ? await on.history.balancesAfter(productId, known, Math.min(behind, pageSize)) : [];
    }

    for await (const turn of watch) {
      const news = turn === "idle" ? [] : await readNews();
      if (news.length === 0 && turn !== "changed") yield {};
      for (const balance of news) {
        known = balance;
        yield { stock: toStockMessage(productId, balance) };
      }
    }
  };
}
