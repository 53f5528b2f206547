import type { Money } from "@shop/money";

/** A product's current name and price. */
export interface Offer {
  readonly name: string;
  readonly price: Money;
}

export interface Catalogue {
  /** Offers by product id; products that are not in the catalogue are missing. Throws CATALOGUE_UNAVAILABLE. */
  offers(productIds: readonly string[]): Promise<ReadonlyMap<string, Offer>>;
}
