import type { MethodImpl } from "@connectrpc/connect";
import { cutPage, defaultPageSize, type PageTokens } from "@shop/core";
import type { InventoryService, ListProductsRequest } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { listingKey, toListing } from "../adapters/proto/listing.ts";
import { toProductMessage } from "../adapters/proto/product.ts";
import type { ProductSearch } from "../application/ports/product-search.ts";
import type { ProductCache } from "../application/product-cache.ts";
import type { ListingPosition } from "../domain/listing.ts";

/** Lists products of the catalogue through the cache. Safe to retry. */
export function listProducts(on: {
  readonly search: ProductSearch;
  readonly cache: ProductCache;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof InventoryService.method.listProducts> {
  return (request) => on.cache.page(request, () => readPage(request));

  async function readPage(request: ListProductsRequest) {
    const { pageSize, pageToken, countCategories } = request;
    const listing = toListing(request);
    const key = ["ListProducts", ...listingKey(request)];
    const after = pageToken === "" ? undefined : on.pageTokens.open<ListingPosition>(pageToken, key);
    const limit = pageSize || defaultPageSize;
    const [listed, categories] = await Promise.all([
      on.search.list(listing, after, limit + 1),
      countCategories ? on.search.countCategories(listing) : undefined,
    ]);
    const { page, last } = cutPage(listed, limit);
    return {
      products: page.map(({ product }) => toProductMessage(product)),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.position, key),
      categoryCounts: [...(categories?.counts ?? [])],
      categoryCountsPartial: categories?.isPartial ?? false,
    };
  }
}
