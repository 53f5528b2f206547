import { invalidFields } from "@shop/core";
import type { ListProductsRequest } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { foldText } from "../../domain/fold-text.ts";
import type { Listing, ListingOrder, PriceRange } from "../../domain/listing.ts";

/** What is asked for, whatever page of it. Throws INVALID_ARGUMENT for prices without a currency or in the wrong order. */
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

/** What is not visible asks for nothing. */
function unlessBlank(text: string): string | undefined {
  return foldText(text) === "" ? undefined : text;
}

/** The fields that say which products, in which order: a page token belongs to them. */
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
