import { isDeepStrictEqual } from "node:util";
import { type Clock, DomainError, newId } from "@shop/core";
import { foldText } from "../domain/fold-text.ts";
import { newProduct, type ProductDetails } from "../domain/product.ts";
import type { Categories } from "./ports/categories.ts";
import type { LedgerStore } from "./ports/ledger-store.ts";
import type { ProductChange, ProductStore } from "./ports/product-store.ts";
import type { ProductCache } from "./product-cache.ts";

/** A product as a row of an import describes it. */
export interface WantedProduct {
  readonly sku: string;
  readonly details: ProductDetails;
  /** The row has no state, so that of an existing product is kept. */
  readonly keepsState: boolean;
  /** The first stock of a new product; ignored for an existing one. */
  readonly stock: number;
}

export type UpsertOutcome = "created" | "updated" | "unchanged";

export interface Preview {
  readonly outcome: UpsertOutcome;
  /** The details of an existing product that would change. */
  readonly changed: readonly (keyof ProductDetails)[];
}

export interface Upsert {
  /** Writes the products and returns the outcome of each. Safe to retry. */
  write(wanted: readonly WantedProduct[], actor: string): Promise<ReadonlyMap<WantedProduct, UpsertOutcome>>;
  /** The outcomes that a write would have now; writes nothing. */
  preview(wanted: readonly WantedProduct[]): Promise<ReadonlyMap<WantedProduct, Preview>>;
}

/**
 * Creates and updates products by SKU, compared without case, in a few writes for many products; a SKU may occur once. New products come
 * through the ledger, changed ones are written by compare-and-set, and the stock of existing ones is not touched. A conflict with another
 * writer is compared and written again.
 */
export function createUpsert(on: {
  readonly products: ProductStore;
  readonly categories: Categories;
  readonly ledger: LedgerStore;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): Upsert {
  async function add(
    missing: readonly WantedProduct[],
    spellingOf: (category: string) => string,
    actor: string,
  ): Promise<boolean> {
    if (missing.length === 0) return true;
    const now = on.clock();
    const added = missing.map(({ details, stock }) =>
      newProduct(newId("product"), { ...details, category: spellingOf(details.category) }, stock, now),
    );
    try {
      await on.ledger.insertProducts(added, actor);
      await on.cache.changed(...added);
      return true;
    } catch (error) {
      // Another writer added one of them first.
      if (error instanceof DomainError && error.reason === "SKU_TAKEN") return false;
      throw error;
    }
  }

  /** Writes the changes; false if some of the products had changed since they were read. */
  async function change(changes: readonly ProductChange[]): Promise<boolean> {
    if (changes.length === 0) return true;
    const written = await on.products.updateMany(changes, on.clock());
    const changed = changes.map(({ read: { productId, version } }) => ({ productId, version: version + 1 }));
    await on.cache.changed(...changed);
    return written === changes.length;
  }

  /** Reads the current products and splits `wanted` into those that are missing and those that differ. */
  async function compare(wanted: readonly WantedProduct[]) {
    const [known, spellingOf] = await Promise.all([
      on.products.findBySkus(wanted.map(({ sku }) => sku)),
      on.categories.spellingsOf(wanted.map(({ details }) => details.category)),
    ]);
    const missing = wanted.filter(({ sku }) => !known.has(sku));
    const differing = wanted.flatMap((one) => {
      const read = known.get(one.sku);
      const details = read && detailsFor(read.details, one, spellingOf);
      return read && details && !isDeepStrictEqual(read.details, details) ? [{ one, read, details }] : [];
    });
    return { missing, differing, spellingOf };
  }

  return {
    async write(wanted, actor) {
      const outcomes = new Map<WantedProduct, UpsertOutcome>();
      let waiting = wanted;
      while (waiting.length > 0) {
        const { missing, differing, spellingOf } = await compare(waiting);
        for (const one of waiting) if (!outcomes.has(one)) outcomes.set(one, "unchanged");
        for (const { one } of differing) outcomes.set(one, "updated");

        const areAdded = await add(missing, spellingOf, actor);
        if (areAdded) for (const one of missing) outcomes.set(one, "created");
        else for (const one of missing) outcomes.delete(one);
        const areChanged = await change(differing);
        // Conflicts are compared again.
        waiting = [...(areAdded ? [] : missing), ...(areChanged ? [] : differing.map(({ one }) => one))];
      }
      return outcomes;
    },

    async preview(wanted) {
      const { missing, differing } = await compare(wanted);
      const outcomes = new Map<WantedProduct, Preview>(
        wanted.map((one) => [one, { outcome: "unchanged", changed: [] }]),
      );
      for (const one of missing) outcomes.set(one, { outcome: "created", changed: [] });
      for (const { one, read, details } of differing)
        outcomes.set(one, { outcome: "updated", changed: changedIn(read.details, details) });
      return outcomes;
    },
  };
}

function changedIn(details: ProductDetails, to: ProductDetails): (keyof ProductDetails)[] {
  const names = Object.keys(to) as (keyof ProductDetails)[];
  return names.filter((name) => !isDeepStrictEqual(details[name], to[name]));
}

/** The details to write: an existing SKU or category that differs only in case keeps its spelling. */
function detailsFor(
  read: ProductDetails,
  { details, keepsState }: WantedProduct,
  spellingOf: (category: string) => string,
): ProductDetails {
  const isInCategory = foldText(read.category) === foldText(details.category);
  return {
    ...details,
    sku: read.sku,
    category: isInCategory ? read.category : spellingOf(details.category),
    ...(keepsState && { state: read.state }),
  };
}
