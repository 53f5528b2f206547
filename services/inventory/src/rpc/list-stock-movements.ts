import type { MethodImpl } from "@connectrpc/connect";
import { defaultPageSize, type PageTokens } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { toMovementMessage } from "../adapters/proto/stock.ts";
import type { LedgerStore } from "../application/ports/ledger-store.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import { productNotFound } from "../domain/errors.ts";

/** Lists the movements of one product, newest first, even if it is deleted. Safe to retry. */
export function listStockMovements(on: {
  readonly ledger: LedgerStore;
  readonly products: ProductStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof InventoryService.method.listStockMovements> {
  return async ({ productId, pageSize, pageToken }) => {
    const query = ["ListStockMovements", productId];
    const balance = (await on.products.balancesOf([productId], "all")).get(productId);
    if (balance === undefined) throw productNotFound(productId);
    const from = pageToken === "" ? balance.sequence : on.pageTokens.open<number>(pageToken, query);
    const movements = await on.ledger.movementsOf(productId, from, pageSize || defaultPageSize);
    const next = (movements.at(-1)?.move.sequence ?? 1) - 1;
    return {
      movements: movements.map(toMovementMessage),
      nextPageToken: next === 0 ? "" : on.pageTokens.seal(next, query),
    };
  };
}
