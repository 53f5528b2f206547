import { isDeepStrictEqual } from "node:util";
import { type Clock, DomainError, newId } from "@shop/platform";
import { newProduct, type Product, type ProductDetails } from "./domain/product.ts";
import type { ProductCache } from "./product-cache.ts";
import type { LedgerStore } from "./store/ledger-store.ts";
import type { ProductChange, ProductStore } from "./store/product-store.ts";

/** What the product of a SKU is to be. */
export interface WantedProduct {
  readonly sku: string;
  readonly details: ProductDetails;
  /** It does not say whether it is sold: who is there stays as it is. */
  readonly keepsState: boolean;
  /** What a new one begins with. */
  readonly stock: number;
}

export type UpsertOutcome = "created" | "updated" | "unchanged";

/**
 * Makes products what they are to be, many by a few writes, each SKU once: new ones come through the ledger, changed ones by
 * compare-and-set, and stock of what is there is left alone. The same again changes nothing, so it can be repeated.
 */
export function createUpsert(on: {
  readonly products: ProductStore;
  readonly ledger: LedgerStore;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): (wanted: readonly WantedProduct[], actor: string) => Promise<ReadonlyMap<WantedProduct, UpsertOutcome>> {
  async function add(missing: readonly WantedProduct[], actor: string): Promise<boolean> {
    if (missing.length === 0) return true;
    const now = on.clock();
    const added = missing.map(({ details, stock }) => newProduct(newId("product"), details, stock, now));
    try {
      await on.ledger.insertProducts(added, actor);
      await on.cache.changed(...added);
      return true;
    } catch (error) {
      // Somebody else added one of them meanwhile.
      if (error instanceof DomainError && error.reason === "SKU_TAKEN") return false;
      throw error;
    }
  }

  /** Whether all of them were still what was read. */
  async function change(changes: readonly ProductChange[]): Promise<boolean> {
    if (changes.length === 0) return true;
    const written = await on.products.updateMany(changes, on.clock());
    const changed = changes.map(({ read: { productId, version } }) => ({ productId, version: version + 1 }));
    await on.cache.changed(...changed);
    return written === changes.length;
  }

  return async (wanted, actor) => {
    const outcomes = new Map<WantedProduct, UpsertOutcome>();
    let waiting = wanted;
    while (waiting.length > 0) {
      const read = await on.products.findBySkus(waiting.map(({ sku }) => sku));
      const known = new Map(read.map((product) => [product.details.sku, product]));
      const missing = waiting.filter(({ sku }) => !known.has(sku));
      const differing = waiting.flatMap((one) => {
        const product = known.get(one.sku);
        const details = product && detailsFor(product, one);
        return product && details && !isDeepStrictEqual(product.details, details)
          ? [{ one, read: product, details }]
          : [];
      });
      for (const one of waiting) if (!outcomes.has(one) && known.has(one.sku)) outcomes.set(one, "unchanged");
      for (const { one } of differing) outcomes.set(one, "updated");

      const areAdded = await add(missing, actor);
      if (areAdded) for (const one of missing) outcomes.set(one, "created");
      const areChanged = await change(differing);
      // What others were faster with is read again.
      waiting = [...(areAdded ? [] : missing), ...(areChanged ? [] : differing.map(({ one }) => one))];
    }
    return outcomes;
  };
}

function detailsFor({ details: { state } }: Product, { details, keepsState }: WantedProduct): ProductDetails {
  return keepsState ? { ...details, state } : details;
}
