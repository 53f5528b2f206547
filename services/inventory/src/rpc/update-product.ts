import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Clock, invalidFields } from "@shop/platform";
import { productChanged, productNotFound } from "../domain/errors.ts";
import { etagOf } from "../domain/product.ts";
import type { ProductCache } from "../product-cache.ts";
import type { ProductStore } from "../store/product-store.ts";
import { toProductMessage } from "../wire/product.ts";
import { applyChanges } from "../wire/product-changes.ts";

const attempts = 5;

/** Changes the masked fields. With an etag a retry is ABORTED once the first try went through; without, it does the same again. */
export function updateProduct(on: {
  readonly products: ProductStore;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.updateProduct> {
  return async ({ product, updateMask }) => {
    const { productId, etag } = product!;
    if (productId === "") throw invalidFields([{ field: "product.product_id", description: "is required" }]);
    for (let attempt = 0; attempt < attempts; attempt++) {
      const read = await on.products.findById(productId);
      if (read === undefined) throw productNotFound(productId);
      if (etag !== "" && etag !== etagOf(read)) throw productChanged(productId, etagOf(read));
      const details = applyChanges(read, product!, updateMask);
      if (details === read.details) return { product: toProductMessage(read) };
      const updated = await on.products.update(read, details, on.clock());
      if (updated !== undefined) {
        await on.cache.changed(updated);
        return { product: toProductMessage(updated) };
      }
      // Somebody changed it between the read and the write: look again.
    }
    throw productChanged(productId, "");
  };
}
