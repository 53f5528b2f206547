import type { MethodImpl } from "@connectrpc/connect";
import { type Clock, invalidFields, retryOnConflict } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { toProductMessage } from "../adapters/proto/product.ts";
import { applyChanges } from "../adapters/proto/product-changes.ts";
import type { Categories } from "../application/ports/categories.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import type { ProductCache } from "../application/product-cache.ts";
import { productChanged, productNotFound } from "../domain/errors.ts";
import { foldText } from "../domain/fold-text.ts";
import { etagOf, type ProductDetails } from "../domain/product.ts";

/** Changes the fields of the mask. A retry without an etag is safe; with one it is ABORTED if the first try succeeded. */
export function updateProduct(on: {
  readonly products: ProductStore;
  readonly categories: Categories;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.updateProduct> {
  /** Gives a product that changes its category the existing spelling; a product can change the spelling of its own category. */
  async function withKnownSpelling(read: ProductDetails, changed: ProductDetails): Promise<ProductDetails> {
    const { category } = changed;
    if (foldText(category) === foldText(read.category)) return changed;
    const spellingOf = await on.categories.spellingsOf([category]);
    return { ...changed, category: spellingOf(category) };
  }

  return async ({ product, updateMask }) => {
    const { productId, etag } = product!;
    if (productId === "") throw invalidFields([{ field: "product.product_id", description: "is required" }]);
    const attempt = async () => {
      const read = await on.products.findById(productId);
      if (read === undefined) throw productNotFound(productId);
      if (etag !== "" && etag !== etagOf(read)) throw productChanged(productId, etagOf(read));
      const changed = applyChanges(read, product!, updateMask);
      if (changed === read.details) return read;
      const details = await withKnownSpelling(read.details, changed);
      const updated = await on.products.update(read, details, on.clock());
      if (updated !== undefined) await on.cache.changed(updated);
      return updated;
    };
    const current = await retryOnConflict(attempt, () => productChanged(productId, ""));
    return { product: toProductMessage(current) };
  };
}
