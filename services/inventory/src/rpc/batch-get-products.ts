import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { toProductMessage } from "../adapters/proto/product.ts";
import { fieldsToRead, keepFields } from "../adapters/proto/read-mask.ts";
import type { ProductStore } from "../application/ports/product-store.ts";

/** Reads active products from the database, not the cache, since orders are priced by it. Safe to retry. */
export function batchGetProducts(on: {
  readonly products: ProductStore;
}): MethodImpl<typeof InventoryService.method.batchGetProducts> {
  return async ({ productIds, readMask }) => {
    const fields = fieldsToRead(readMask);
    const sold = await on.products.findSold(productIds, fields);
    const found = new Map(sold.map((product) => [product.productId, product]));
    const inOrder = [...new Set(productIds)].map((productId) => found.get(productId));
    const products = inOrder.filter((product) => product !== undefined).map(toProductMessage);
    return { products: fields === undefined ? products : products.map(keepFields(fields)) };
  };
}
