import type { Logger } from "@shop/core";
import type { Collection, Db, Filter } from "mongodb";
import { skuTaken } from "../../domain/errors.ts";
import type { Balances } from "../../domain/ledger.ts";
import type { Product, ProductDetails, ProductRequest } from "../../domain/product.ts";
import { earlierMarks } from "../../domain/search-terms.ts";
import {
  balanceFromDocument,
  detailsToDocument,
  fromDocument,
  fromPart,
  type ProductDocument,
  type ProductPart,
  partOf,
  skuFields,
} from "./product-document.ts";
import { searchIndexes } from "./product-search.ts";
import { findDocumentsBySkus, isSkuTaken, refuseTwins, skuIndexes } from "./sku-keys.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** The catalogue. What was taken out of it can't be found here; its stock is still the ledger's. */
export interface ProductStore {
  findById(productId: string): Promise<Product | undefined>;
  /** Those of them that can be bought; if `fields` are given, with what these are made of, and empty otherwise. */
  findSold(productIds: readonly string[], fields?: ReadonlySet<string>): Promise<Product[]>;
  /** What a named request made, also when it has left the catalogue since. */
  findByRequest(request: Pick<ProductRequest, "actor" | "id">): Promise<MadeProduct | undefined>;
  /** By the SKUs as they are asked for: case does not matter. */
  findBySkus(skus: readonly string[]): Promise<ReadonlyMap<string, Product>>;
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

/** What is known of how a product began. */
export interface MadeProduct extends Pick<Product, "productId" | "createTime"> {
  /** Of what was asked for. */
  readonly hash: string;
  /** As the product was made with; undefined when that is what was asked for. */
  readonly category: string | undefined;
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

/**
 * The collection, with its indexes and what each product is found by. The ledger projects into it. What an earlier release wrote
 * is brought up to date; a start that was interrupted goes on there.
 */
export async function openProducts(
  db: Db,
  vocabulary: Pick<Vocabulary, "learn">,
  log: Logger,
): Promise<Collection<ProductDocument>> {
  const products = db.collection<ProductDocument>("products");
  await products.createIndexes([
    ...skuIndexes,
    // The product is the claim: kept as long as the product itself.
    {
      key: { "request.actor": 1, "request.id": 1 },
      name: "request",
      unique: true,
      partialFilterExpression: { "request.id": { $exists: true } },
    },
    ...searchIndexes,
  ]);
  // Of a release that knew no search.
  await indexAgain(products, { in_stock: { $exists: false } }, vocabulary, log);
  // Of one that computed terms otherwise: as a rule an index says at once that there are none.
  await indexAgain(products, { terms: { $in: [...earlierMarks] } }, vocabulary, log);
  return products;
}

const indexedAtOnce = 500;
const progressEveryMs = 5_000;

/**
 * Computes again what products of an earlier release are found by. One that is done no longer fits `earlier`, so an interrupted
 * run goes on with those that are left. Safe to repeat, at several replicas at once, and while products change.
 */
async function indexAgain(
  products: Collection<ProductDocument>,
  earlier: Filter<ProductDocument>,
  vocabulary: Pick<Vocabulary, "learn">,
  log: Logger,
): Promise<void> {
  // Those that change meanwhile are found by another pass.
  let reportAt = 0;
  for (let count = 0; ; ) {
    const before = count;
    for await (const found of inBatches(products.find(earlier).batchSize(indexedAtOnce), indexedAtOnce)) {
      if (performance.now() >= reportAt) {
        reportAt = performance.now() + progressEveryMs;
        // `npm start` waits on for a service that says `progress`.
        log.warn(
          { progress: true, indexed: count },
          "products of an earlier release are indexed for search before this service answers",
        );
      }
      const described = found.map(({ _id, version, active, ...document }) => {
        const defaults = { image_url: "", attributes: {}, state: "active" } as const;
        const { details } = fromDocument({ ...defaults, ...document, _id, version, active });
        return { _id, version, active, details };
      });
      await vocabulary.learn(described.map(({ details }) => details));
      await products.bulkWrite(
        described.map(({ _id, version, active, details }) => {
          const { terms, ...rest } = detailsToDocument(details);
          const inStock = { $gt: [{ $subtract: ["$balance.on_hand", "$balance.reserved"] }, 0] };
          const fields = { ...rest, terms: active ? terms : [] };
          return {
            updateOne: {
              filter: { _id, version, ...earlier },
              update: [{ $set: { ...literals(fields), in_stock: inStock } }],
            },
          };
        }),
        { ordered: false },
      );
      count += found.length;
    }
    if (count === before) return;
    log.info({ products: count }, "products of an earlier release were indexed for search");
  }
}

async function* inBatches<Item>(items: AsyncIterable<Item>, size: number): AsyncIterable<readonly Item[]> {
  let batch: Item[] = [];
  for await (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Values of a pipeline as they are, whatever they look like. */
function literals(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, { $literal: value }]));
}

export function createProductStore(
  products: Collection<ProductDocument>,
  vocabulary: Pick<Vocabulary, "learn">,
): ProductStore {
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
    async findByRequest({ actor, id }) {
      const document = await products.findOne(
        { "request.actor": actor, "request.id": id },
        { projection: { create_time: 1, request: 1 } },
      );
      return (
        document?.request && {
          productId: document._id,
          createTime: document.create_time,
          hash: document.request.hash,
          category: document.request.category,
        }
      );
    },
    async findBySkus(skus) {
      const documents = await findDocumentsBySkus(products, skus);
      return new Map([...documents].map(([sku, document]) => [sku, fromDocument(document)]));
    },
    async update(read, details, now) {
      const { sku } = details;
      if (sku !== undefined && sku !== read.details.sku) await refuseTwins(products, [sku]);
      await vocabulary.learn([details]);
      try {
        const document = await products.findOneAndUpdate(isStill(read), changeTo(read, details, now), {
          returnDocument: "after",
        });
        return document === null ? undefined : fromDocument(document);
      } catch (error) {
        if (isSkuTaken(error)) throw skuTaken(sku ?? "");
        throw error;
      }
    },
    async updateMany(changes, now) {
      if (changes.length === 0) return 0;
      await vocabulary.learn(changes.map(({ details }) => details));
      const { matchedCount } = await products.bulkWrite(
        changes.map(({ read, details }) => ({
          updateOne: { filter: isStill(read), update: changeTo(read, details, now) },
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
          { $unset: ["sku", "sku_key"] },
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
        if (sku !== undefined) await refuseTwins(products, [sku]);
        await vocabulary.learn([details]);
        try {
          const restored = await products.findOneAndUpdate(
            { _id: productId, active: false, version },
            {
              $set: { ...detailsToDocument(details), ...skuFields(sku), active: true, update_time: now },
              $unset: { deleted_sku: true, delete_time: true },
              $inc: { version: 1 },
            },
            { returnDocument: "after" },
          );
          if (restored !== null) return fromDocument(restored);
          // Somebody put it back, and it was taken out again: look again.
        } catch (error) {
          if (isSkuTaken(error)) throw skuTaken(sku ?? "");
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

function changeTo(read: Product, details: ProductDetails, now: Date) {
  const { sku } = details;
  return {
    // The key of a SKU that stays is not written: another product may have the plain one.
    $set: { ...detailsToDocument(details), ...(sku !== read.details.sku && skuFields(sku)), update_time: now },
    ...(sku === undefined ? { $unset: { sku: true as const, sku_key: true as const } } : {}),
    $inc: { version: 1 },
  };
}
