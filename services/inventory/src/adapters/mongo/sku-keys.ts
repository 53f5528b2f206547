import type { Logger } from "@shop/core";
import { isDuplicateKey } from "@shop/mongo";
import type { Collection, IndexDescription } from "mongodb";
import { skuTaken } from "../../domain/errors.ts";
import { foldText } from "../../domain/fold-text.ts";
import type { ProductDocument } from "./product-document.ts";

// SKUs are unique whatever their case: a unique index on `sku_key`, which is the folded SKU. Products that were there before may
// carry SKUs that differ only in case. The oldest of them has the key; each other is a twin, whose key is a blank, the folded SKU,
// a blank and its id: it collides with none, and a range of the index has them all. Twins only ever become fewer, for what writes a
// SKU writes a plain key. So a look for a twin before the write, and the index at the write, let no new one in.

const twinKeyOf = (sku: string, productId: string) => ` ${foldText(sku)} ${productId}`;
const allTwins = { $gte: " ", $lt: "!" };
const twinsOf = (sku: string) => ({ $gte: ` ${foldText(sku)} `, $lt: ` ${foldText(sku)}!` });

/** Both unique. The first is what replicas of an earlier release go by. */
export const skuIndexes: readonly IndexDescription[] = ["sku", "sku_key"].map((name) => {
  return { name, key: { [name]: 1 }, unique: true, partialFilterExpression: { [name]: { $exists: true } } };
});

/** Gives keys to products of an earlier release, and reports twins. Safe to repeat, and at several replicas at once. */
export async function completeSkuKeys(products: Collection<ProductDocument>, log: Logger): Promise<void> {
  await addMissingKeys(products);
  const twins = await products.find({ sku_key: allTwins }, { hint: "sku_key", projection: { sku: 1 } }).toArray();
  if (twins.length === 0) return;
  const skus = twins.slice(0, 100).map(({ sku }) => sku);
  log.warn({ count: twins.length, skus }, "SKUs differ only in case from those of other products: give each its own");
}

async function addMissingKeys(products: Collection<ProductDocument>): Promise<void> {
  const [carried, keyed] = await Promise.all(
    ["sku", "sku_key"].map((field) => products.countDocuments({ [field]: { $exists: true } }, { hint: field })),
  );
  if (carried === keyed) return;
  const keyless = products
    .find({ sku: { $exists: true }, sku_key: { $exists: false } })
    .project<{ _id: string; sku: string }>({ sku: 1 })
    .sort({ _id: 1 });
  for await (const { _id, sku } of keyless) {
    const setKey = (key: string) =>
      products.updateOne({ _id, sku, sku_key: { $exists: false } }, { $set: { sku_key: key } });
    try {
      await setKey(foldText(sku));
    } catch (error) {
      if (!isDuplicateKey(error, "sku_key")) throw error;
      await setKey(twinKeyOf(sku, _id));
    }
  }
}

/** Whether a write was refused because a SKU is taken. */
export function isSkuTaken(error: unknown): boolean {
  return isDuplicateKey(error, "sku") || isDuplicateKey(error, "sku_key");
}

/** To be asked before SKUs are given to products that do not carry them. Throws SKU_TAKEN when a twin carries one of them. */
export async function refuseTwins(products: Collection<ProductDocument>, skus: readonly string[]): Promise<void> {
  const hasTwins = await products.findOne({ sku_key: allTwins }, { hint: "sku_key", projection: { _id: 1 } });
  if (hasTwins === null) return;
  for (const sku of skus) {
    const twin = await products.findOne({ sku_key: twinsOf(sku) }, { hint: "sku_key", projection: { _id: 1 } });
    if (twin !== null) throw skuTaken(sku);
  }
}

/** The products that carry these SKUs, whatever their case: a twin by its exact SKU alone. */
export async function findDocumentsBySkus(
  products: Collection<ProductDocument>,
  skus: readonly string[],
): Promise<ReadonlyMap<string, ProductDocument>> {
  const [twins, holders] = await Promise.all([
    products.find({ sku_key: allTwins, sku: { $in: [...skus] } }, { hint: "sku_key" }).toArray(),
    products.find({ sku_key: { $in: skus.map(foldText) } }, { hint: "sku_key" }).toArray(),
  ]);
  const byKey = new Map(holders.map((document) => [document.sku_key, document]));
  const exact = new Map(twins.map((document) => [document.sku, document]));
  return new Map(
    skus.flatMap((sku) => {
      const document = exact.get(sku) ?? byKey.get(foldText(sku));
      return document === undefined ? [] : [[sku, document] as const];
    }),
  );
}
