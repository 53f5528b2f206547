import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { ProductStore } from "../application/ports/product-store.ts";
import type { ProductCache } from "../application/product-cache.ts";
import { productNotFound } from "../domain/errors.ts";

/** Reads a product through the cache. Safe to retry. */
export function getProductByID(on: {
  readonly products: ProductStore;
  readonly cache: ProductCache;
}): MethodImpl<typeof InventoryService.method.getProductByID> {
  return async ({ productId }) => {
    const answer = await on.cache.product(productId, () => on.products.findById(productId));
    if (answer === undefined) throw productNotFound(productId);
    return answer;
  };
}
