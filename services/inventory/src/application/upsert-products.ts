import { isDeepStrictEqual } from "node:util";
import { type Clock, DomainError, newId } from "@shop/core";
import type { Categories } from "../adapters/mongo/categories.ts";
import type { LedgerStore } from "../adapters/mongo/ledger-store.ts";
import type { ProductChange, ProductStore } from "../adapters/mongo/product-store.ts";
import { foldText } from "../domain/fold-text.ts";
import { newProduct, type ProductDetails } from "../domain/product.ts";
import type { ProductCache } from "./product-cache.ts";

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

/** What would become of a product. */
export interface Preview {
  readonly outcome: UpsertOutcome;
  /** What would change of one that is there. */
  readonly changed: readonly (keyof ProductDetails)[];
}

export interface Upsert {
  /** Writes them, and tells what became of each. */
  write(wanted: readonly WantedProduct[], actor: string): Promise<ReadonlyMap<WantedProduct, UpsertOutcome>>;
  /** Only tells what would become of each now. */
  preview(wanted: readonly WantedProduct[]): Promise<ReadonlyMap<WantedProduct, Preview>>;
}

/**
 * Makes products, told by their SKUs whatever the case, what they are to be, many by a few writes, each SKU once: new ones come through the ledger, changed ones by
 * compare-and-set, and stock of what is there is left alone. The same again changes nothing, so it can be repeated.
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

  /** What is missing, and what is there and differs, as it is now. */
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
        // What others were faster with is read again.
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

/** What is the same whatever its case stays as it is written. */
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
