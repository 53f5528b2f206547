import { invalidFields } from "@shop/core";
import type { ListProductsRequest } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { foldText } from "../../domain/fold-text.ts";
import type { Listing, ListingOrder, PriceRange } from "../../domain/listing.ts";

/** The filters and order of a request. Throws INVALID_ARGUMENT for prices without a currency and for an empty range. */
export function toListing(request: ListProductsRequest): Listing {
  const { query, name, category, attributes, inStock, orderBy } = request;
  return {
    query: unlessBlank(query),
    name: unlessBlank(name),
    category: unlessBlank(category),
    attributes: [...new Set(attributes)],
    prices: toPriceRange(request),
    inStock,
    order: (orderBy || "relevance") as ListingOrder,
  };
}

/** Invisible text filters nothing. */
function unlessBlank(text: string): string | undefined {
  return foldText(text) === "" ? undefined : text;
}

/** The fields that determine the listing. A page token is valid only for the same values. */
export function listingKey(request: ListProductsRequest): readonly unknown[] {
  const { query, name, category, attributes, currencyCode, minPrice, maxPrice, inStock, orderBy } = request;
  const prices = [currencyCode, minPrice?.toString(), maxPrice?.toString()];
  return [query, name, category, attributes, ...prices, inStock, orderBy];
}

function toPriceRange({ currencyCode, minPrice, maxPrice }: ListProductsRequest): PriceRange | undefined {
  if (currencyCode === "") {
    if (minPrice === undefined && maxPrice === undefined) return undefined;
    throw invalidFields([{ field: "currency_code", description: "is required with min_price and max_price" }]);
  }
  if (minPrice !== undefined && maxPrice !== undefined && minPrice > maxPrice) {
    throw invalidFields([{ field: "max_price", description: "is less than min_price" }]);
  }
  return {
    currencyCode,
    ...(minPrice !== undefined && { from: minPrice }),
    ...(maxPrice !== undefined && { to: maxPrice }),
  };
}
