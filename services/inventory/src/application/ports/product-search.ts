import type { CategoryCounts, Listing, ListingPosition } from "../../domain/listing.ts";
import type { Product } from "../../domain/product.ts";

export interface Listed {
  readonly product: Product;
  readonly position: ListingPosition;
}

/**
 * Finds products by their terms. A page is read in the order of an index, from where the previous page ended. Typing errors are
 * corrected: by relevance, corrected matches come last; in any other order, only when nothing matches the words as typed. Throws
 * SEARCH_TOO_BROAD when a query takes too long, as when nearly every product matches a part of the filters and none all of them.
 */
export interface ProductSearch {
  /** The products after a position, or from the start. */
  list(listing: Listing, after: ListingPosition | undefined, limit: number): Promise<Listed[]>;
  /**
   * Counts by category the products that match all filters but the category; with corrections only when nothing matches without. Counts
   * 10,000 products at most, and returns the 100 largest categories.
   */
  countCategories(listing: Listing): Promise<CategoryCounts>;
}
