import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { cutPage, defaultPageSize, type PageTokens } from "@shop/platform";
import type { ProductStore } from "../store/product-store.ts";
import { toProductMessage } from "../wire/product.ts";

/** Lists the catalogue, newest first. Safe to retry. */
export function listProducts(on: {
  readonly products: ProductStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof InventoryService.method.listProducts> {
  return async ({ pageSize, pageToken, name, category }) => {
    const query = ["ListProducts", name, category];
    const limit = pageSize || defaultPageSize;
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const { page, last } = cutPage(await on.products.list({ name, category, after }, limit + 1), limit);
    return {
      products: page.map(toProductMessage),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.productId, query),
    };
  };
}
