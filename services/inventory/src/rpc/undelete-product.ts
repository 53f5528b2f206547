import type { MethodImpl } from "@connectrpc/connect";
import type { Clock } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { toProductMessage } from "../adapters/proto/product.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import type { ProductCache } from "../application/product-cache.ts";
import { productNotDeleted, productNotFound } from "../domain/errors.ts";

/** Undeletes a product (AIP-164). A second time is ALREADY_EXISTS, so a retry may be, too. */
export function undeleteProduct(on: {
  readonly products: ProductStore;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.undeleteProduct> {
  return async ({ productId }) => {
    const restored = await on.products.restore(productId, on.clock());
    if (restored === undefined) {
      const existing = await on.products.findById(productId);
      throw existing === undefined ? productNotFound(productId) : productNotDeleted(productId);
    }
    await on.cache.changed(restored);
    return { product: toProductMessage(restored) };
  };
}
