import type { MethodImpl } from "@connectrpc/connect";
import type { Clock } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { ProductStore } from "../application/ports/product-store.ts";
import type { ProductCache } from "../application/product-cache.ts";
import { productChanged, productNotFound } from "../domain/errors.ts";
import { etagOf, versionOf } from "../domain/product.ts";

/** Deletes a product. A second time is NOT_FOUND, so a retry may be, too. */
export function deleteProduct(on: {
  readonly products: ProductStore;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.deleteProduct> {
  return async ({ productId, etag }) => {
    const version = await on.products.remove(productId, etag === "" ? undefined : versionOf(etag), on.clock());
    if (version === undefined) {
      const other = await on.products.findById(productId);
      throw other === undefined ? productNotFound(productId) : productChanged(productId, etagOf(other));
    }
    await on.cache.changed({ productId, version });
    return {};
  };
}
