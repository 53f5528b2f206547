/** In which order products are listed. */
export type ListingOrder = "relevance" | "newest" | "name" | "name desc" | "price" | "price desc";

/** What products are listed: those that fit all of it. */
export interface Listing {
  /** Words, anywhere; undefined for whatever they are. */
  readonly query: string | undefined;
  /** Words that begin words of the name; undefined for whatever it is. */
  readonly name: string | undefined;
  readonly category: string | undefined;
  /** Each as `key:value`. */
  readonly attributes: readonly string[];
  readonly prices: PriceRange | undefined;
  /** Only those that can be sold now. */
  readonly inStock: boolean;
  readonly order: ListingOrder;
}

/** In minor units, both ends included; an end that is absent is open. */
export interface PriceRange {
  readonly currencyCode: string;
  readonly from?: bigint;
  readonly to?: bigint;
}

/** Where a page of a listing ended: in which tier of relevance, and at which values of what it is sorted by. */
export interface ListingPlace {
  readonly tier: number;
  readonly values: readonly (string | number)[];
}

/** How many products there are of each category; the largest first. */
export interface CategoryCounts {
  readonly counts: readonly { readonly category: string; readonly count: number }[];
  /** There are more products than were counted. */
  readonly isPartial: boolean;
}
