import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService, ListProductsRequest } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { cutPage, defaultPageSize, type PageTokens } from "@shop/platform";
import type { ProductCache } from "../product-cache.ts";
import type { ProductStore } from "../store/product-store.ts";
import { toProductMessage } from "../wire/product.ts";

/** Lists the catalogue, newest first, through the cache. Safe to retry. */
export function listProducts(on: {
  readonly products: ProductStore;
  readonly cache: ProductCache;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof InventoryService.method.listProducts> {
  return (request) => on.cache.page(request, () => readPage(request));

  async function readPage({ pageSize, pageToken, name, category }: ListProductsRequest) {
    const query = ["ListProducts", name, category];
    const limit = pageSize || defaultPageSize;
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const { page, last } = cutPage(await on.products.list({ name, category, after }, limit + 1), limit);
    return {
      products: page.map(toProductMessage),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.productId, query),
    };
  }
}
