import { isDuplicateKey } from "@shop/platform";
import type { Collection, Db } from "mongodb";
import { skuTaken } from "../domain/errors.ts";
import type { Balances } from "../domain/ledger.ts";
import type { Product, ProductDetails } from "../domain/product.ts";
import {
  balanceFromDocument,
  detailsToDocument,
  fromDocument,
  fromPart,
  type ProductDocument,
  type ProductPart,
  partOf,
} from "./product-document.ts";
import { searchIndexes } from "./product-search.ts";

/** The catalogue. What was taken out of it can't be found here; its stock is still the ledger's. */
export interface ProductStore {
  findById(productId: string): Promise<Product | undefined>;
  /** Those of them that can be bought; if `fields` are given, with what these are made of, and empty otherwise. */
  findSold(productIds: readonly string[], fields?: ReadonlySet<string>): Promise<Product[]>;
  findBySkus(skus: readonly string[]): Promise<Product[]>;
  /**
   * Writes new details over a version that was read; undefined when it is no longer the version there is. Throws SKU_TAKEN.
   */
  update(read: Product, details: ProductDetails, now: Date): Promise<Product | undefined>;
  /** Does so for many, whose SKUs stay as they are; answers how many it did. */
  updateMany(changes: readonly ProductChange[], now: Date): Promise<number>;
  /**
   * Takes it out of the catalogue; if `version` is given, only as that version. Answers the version of its going; undefined
   * when there is nothing to take.
   */
  remove(productId: string, version: number | undefined, now: Date): Promise<number | undefined>;
  /** Puts back what was taken out of the catalogue; undefined when it was not. Throws SKU_TAKEN. */
  restore(productId: string, now: Date): Promise<Product | undefined>;
  /** What can be promised is sold; what is in the catalogue may be archived; what was promised may have left it since. */
  balancesOf(productIds: readonly string[], among: "sold" | "catalogue" | "all"): Promise<Balances>;
}

export interface ProductChange {
  readonly read: Product;
  readonly details: ProductDetails;
}

const among = {
  sold: { active: true, state: "active" },
  catalogue: { active: true },
  all: {},
} as const;

/** The collection, with its indexes. The ledger projects into it. */
export async function openProducts(db: Db): Promise<Collection<ProductDocument>> {
  const products = db.collection<ProductDocument>("products");
  await products.createIndexes([
    { key: { sku: 1 }, name: "sku", unique: true, partialFilterExpression: { sku: { $exists: true } } },
    ...searchIndexes,
  ]);
  await completeEarlier(products);
  return products;
}

const completedAtOnce = 500;

/** Products of a release that knew no search: they could not be found. Safe to repeat, and at several replicas at once. */
async function completeEarlier(products: Collection<ProductDocument>): Promise<void> {
  for (;;) {
    const earlier = await products
      .find({ in_stock: { $exists: false } })
      .limit(completedAtOnce)
      .toArray();
    if (earlier.length === 0) return;
    await products.bulkWrite(
      earlier.map(({ _id, version, active, ...document }) => {
        const defaults = { image_url: "", attributes: {}, state: "active" } as const;
        const { details } = fromDocument({ ...defaults, ...document, _id, version, active });
        const { terms, ...described } = detailsToDocument(details);
        const inStock = { $gt: [{ $subtract: ["$balance.on_hand", "$balance.reserved"] }, 0] };
        const fields = { ...described, terms: active ? terms : [] };
        return {
          updateOne: {
            filter: { _id, version, in_stock: { $exists: false } },
            update: [{ $set: { ...literals(fields), in_stock: inStock } }],
          },
        };
      }),
      { ordered: false },
    );
  }
}

/** Values of a pipeline as they are, whatever they look like. */
function literals(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, { $literal: value }]));
}

export function createProductStore(products: Collection<ProductDocument>): ProductStore {
  return {
    async findById(productId) {
      const document = await products.findOne({ _id: productId, active: true });
      return document === null ? undefined : fromDocument(document);
    },
    async findSold(productIds, fields) {
      const sold = products.find({ _id: { $in: [...productIds] }, ...among.sold });
      if (fields === undefined) return (await sold.toArray()).map(fromDocument);
      const parts = await sold.project<ProductPart>(partOf(fields)).toArray();
      return parts.map(fromPart);
    },
    async findBySkus(skus) {
      const documents = await products.find({ sku: { $in: [...skus] } }, { hint: "sku" }).toArray();
      return documents.map(fromDocument);
    },
    async update(read, details, now) {
      try {
        const document = await products.findOneAndUpdate(isStill(read), changeTo(details, now), {
          returnDocument: "after",
        });
        return document === null ? undefined : fromDocument(document);
      } catch (error) {
        if (isDuplicateKey(error, "sku")) throw skuTaken(details.sku ?? "");
        throw error;
      }
    },
    async updateMany(changes, now) {
      if (changes.length === 0) return 0;
      const { matchedCount } = await products.bulkWrite(
        changes.map(({ read, details }) => ({
          updateOne: { filter: isStill(read), update: changeTo(details, now) },
        })),
        { ordered: false },
      );
      return matchedCount;
    },
    async remove(productId, version, now) {
      const document = await products.findOneAndUpdate(
        { _id: productId, active: true, ...(version !== undefined && { version }) },
        [
          {
            $set: {
              active: false,
              terms: [],
              // Its SKU is free for another product.
              deleted_sku: "$sku",
              delete_time: now,
              version: { $add: ["$version", 1] },
            },
          },
          { $unset: "sku" },
        ],
        { returnDocument: "after", projection: { version: 1 } },
      );
      return document?.version;
    },
    async restore(productId, now) {
      for (;;) {
        const document = await products.findOne({ _id: productId, active: false });
        if (document === null) return undefined;
        const { deleted_sku: sku, version } = document;
        const { details } = fromDocument({ ...document, ...(sku !== undefined && { sku }) });
        try {
          const restored = await products.findOneAndUpdate(
            { _id: productId, active: false, version },
            {
              $set: { ...detailsToDocument(details), active: true, update_time: now },
              $unset: { deleted_sku: true, delete_time: true },
              $inc: { version: 1 },
            },
            { returnDocument: "after" },
          );
          if (restored !== null) return fromDocument(restored);
          // Somebody put it back, and it was taken out again: look again.
        } catch (error) {
          if (isDuplicateKey(error, "sku")) throw skuTaken(sku ?? "");
          throw error;
        }
      }
    },
    async balancesOf(productIds, which) {
      const documents = await products
        .find({ _id: { $in: [...productIds] }, ...among[which] })
        .project<Pick<ProductDocument, "_id" | "name" | "balance">>({ name: 1, balance: 1 })
        .toArray();
      return new Map(
        documents.map((document) => [document._id, { name: document.name, ...balanceFromDocument(document.balance) }]),
      );
    },
  };
}

function isStill({ productId, version }: Product) {
  return { _id: productId, active: true, version };
}

function changeTo(details: ProductDetails, now: Date) {
  return {
    $set: { ...detailsToDocument(details), update_time: now },
    ...(details.sku === undefined ? { $unset: { sku: true as const } } : {}),
    $inc: { version: 1 },
  };
}
