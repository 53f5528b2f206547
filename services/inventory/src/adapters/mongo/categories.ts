import type { Collection, Db } from "mongodb";
import type { Categories } from "../../application/ports/categories.ts";
import { foldText } from "../../domain/fold-text.ts";
import { categoryTerm } from "../../domain/search-terms.ts";
import type { ProductDocument } from "./product-document.ts";

export function createCategories(products: Collection<ProductDocument>): Categories {
  async function spellingOf(category: string): Promise<string> {
    const oldest = await products.findOne(
      { terms: categoryTerm(category), in_stock: { $in: [true, false] } },
      { hint: "newest", sort: { _id: 1 }, projection: { category: 1 } },
    );
    return oldest?.category ?? category;
  }

  return {
    async spellingsOf(categories) {
      const first = new Map(categories.toReversed().map((category) => [foldText(category), category]));
      const spellings = new Map(
        await Promise.all([...first].map(async ([key, category]) => [key, await spellingOf(category)] as const)),
      );
      return (category) => spellings.get(foldText(category)) ?? category;
    },
  };
}

const migration = "one-spelling-per-category";

/**
 * Migrates products of earlier releases, which distinguished categories by case and form: the most used spelling wins. Runs once, so that a
 * spelling that is changed later stays. Safe to repeat, and in several replicas at once.
 */
export async function mergeCategorySpellings(db: Db, products: Collection<ProductDocument>): Promise<void> {
  const migrations = db.collection<{ _id: string }>("migrations");
  if ((await migrations.findOne({ _id: migration })) !== null) return;
  const counted = await products
    .aggregate<{ _id: string; count: number }>([{ $group: { _id: "$category", count: { $sum: 1 } } }])
    .toArray();
  for (const spellings of Map.groupBy(counted, ({ _id }) => foldText(_id)).values()) {
    const [most] = spellings.toSorted(byUse);
    const kept = most!._id.normalize("NFC").trim().replace(/\s+/g, " ");
    const others = spellings.map(({ _id }) => _id).filter((spelling) => spelling !== kept);
    if (others.length === 0) continue;
    // The terms are folded, so they don't change.
    await products.updateMany({ category: { $in: others } }, { $set: { category: kept }, $inc: { version: 1 } });
  }
  await migrations.updateOne({ _id: migration }, { $set: { time: new Date() } }, { upsert: true });
}

/** Sorts the most used spelling first, and equally used ones in a fixed order. */
export function byUse(a: { readonly _id: string; readonly count: number }, b: typeof a): number {
  return b.count - a.count || (a._id < b._id ? -1 : 1);
}
