export type ListingOrder = "relevance" | "newest" | "name" | "name desc" | "price" | "price desc";

/** The filters of a listing, all of which a product has to match, and its order. Undefined filters match every product. */
export interface Listing {
  /** Words in any place. */
  readonly query: string | undefined;
  /** Words that begin words of the name. */
  readonly name: string | undefined;
  readonly category: string | undefined;
  /** Each as `key:value`. */
  readonly attributes: readonly string[];
  readonly prices: PriceRange | undefined;
  /** Only products with available stock. */
  readonly inStock: boolean;
  readonly order: ListingOrder;
}

/** In minor units, inclusive; an absent bound is open. */
export interface PriceRange {
  readonly currencyCode: string;
  readonly from?: bigint;
  readonly to?: bigint;
}

/** The end of a page: the tier of relevance, and the values of the sort keys. */
export interface ListingPosition {
  readonly tier: number;
  readonly values: readonly (string | number)[];
}

export interface CategoryCounts {
  /** Largest first. */
  readonly counts: readonly { readonly category: string; readonly count: number }[];
  /** Only a part of the products was counted. */
  readonly isPartial: boolean;
}
