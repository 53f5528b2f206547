import type { Logger } from "@shop/core";
import { isDuplicateKey } from "@shop/mongo";
import type { Collection, IndexDescription } from "mongodb";
import { skuTaken } from "../../domain/errors.ts";
import { foldText } from "../../domain/fold-text.ts";
import type { ProductDocument } from "./product-document.ts";

// SKUs are unique without case, by a unique index on `sku_key`, the folded SKU. Products of earlier releases may have SKUs that differ
// only in case. The oldest of them has the plain key; the others are twins, whose key is a blank, the folded SKU, a blank and the
// product's id: it is unique, and all twins are one range of the index. Every write of a SKU writes a plain key, so twins only become
// fewer. A check for twins before such a write, and the index at the write, keep new duplicates out.

const twinKeyOf = (sku: string, productId: string) => ` ${foldText(sku)} ${productId}`;
const allTwins = { $gte: " ", $lt: "!" };
const twinsOf = (sku: string) => ({ $gte: ` ${foldText(sku)} `, $lt: ` ${foldText(sku)}!` });

/** Both unique. Replicas of earlier releases rely on the first. */
export const skuIndexes: readonly IndexDescription[] = ["sku", "sku_key"].map((name) => {
  return { name, key: { [name]: 1 }, unique: true, partialFilterExpression: { [name]: { $exists: true } } };
});

/** Adds keys to products of earlier releases, and logs twins. Safe to repeat, and in several replicas at once. */
export async function completeSkuKeys(products: Collection<ProductDocument>, log: Logger): Promise<void> {
  await addMissingKeys(products);
  const twins = await products.find({ sku_key: allTwins }, { hint: "sku_key", projection: { sku: 1 } }).toArray();
  if (twins.length === 0) return;
  const skus = twins.slice(0, 100).map(({ sku }) => sku);
  log.warn({ count: twins.length, skus }, "SKUs differ only in case from those of other products: change them");
}

async function addMissingKeys(products: Collection<ProductDocument>): Promise<void> {
  const [withSku, withKey] = await Promise.all(
    ["sku", "sku_key"].map((field) => products.countDocuments({ [field]: { $exists: true } }, { hint: field })),
  );
  if (withSku === withKey) return;
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

export function isSkuTaken(error: unknown): boolean {
  return isDuplicateKey(error, "sku") || isDuplicateKey(error, "sku_key");
}

/** Throws SKU_TAKEN when a twin has one of these SKUs. To be called before a write gives them to other products. */
export async function refuseTwins(products: Collection<ProductDocument>, skus: readonly string[]): Promise<void> {
  const hasTwins = await products.findOne({ sku_key: allTwins }, { hint: "sku_key", projection: { _id: 1 } });
  if (hasTwins === null) return;
  for (const sku of skus) {
    const twin = await products.findOne({ sku_key: twinsOf(sku) }, { hint: "sku_key", projection: { _id: 1 } });
    if (twin !== null) throw skuTaken(sku);
  }
}

/** Products by SKU, compared without case; a twin only by its exact SKU. */
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
