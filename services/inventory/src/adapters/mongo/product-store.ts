import type { Logger } from "@shop/core";
import type { ChangeNotices } from "@shop/messaging";
import type { Collection, Db, Filter } from "mongodb";
import type { ProductStore } from "../../application/ports/product-store.ts";
import { skuTaken } from "../../domain/errors.ts";
import type { Product, ProductDetails } from "../../domain/product.ts";
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

const among = {
  sold: { active: true, state: "active" },
  catalogue: { active: true },
  all: {},
} as const;

/**
 * Opens the collection with its indexes, and computes the search terms of products that earlier releases wrote. An interrupted start is
 * continued by the next one.
 */
export async function openProducts(
  db: Db,
  vocabulary: Pick<Vocabulary, "learn">,
  log: Logger,
): Promise<Collection<ProductDocument>> {
  const products = db.collection<ProductDocument>("products");
  await products.createIndexes([
    ...skuIndexes,
    // The product itself claims the idempotency key, for as long as it exists.
    {
      key: { "request.actor": 1, "request.id": 1 },
      name: "request",
      unique: true,
      partialFilterExpression: { "request.id": { $exists: true } },
    },
    ...searchIndexes,
  ]);
  // From releases without search.
  await reindex(products, { in_stock: { $exists: false } }, vocabulary, log);
  // From releases that computed terms differently. Usually the index shows at once that none are left.
  await reindex(products, { terms: { $in: [...earlierMarks] } }, vocabulary, log);
  return products;
}

const reindexBatchSize = 500;
const progressEveryMs = 5_000;

/**
 * Recomputes the search terms of the products that match `earlier`, until none do. A finished product no longer matches, so a repeated
 * run continues an interrupted one. Safe to repeat, in several replicas at once, and while products change.
 */
async function reindex(
  products: Collection<ProductDocument>,
  earlier: Filter<ProductDocument>,
  vocabulary: Pick<Vocabulary, "learn">,
  log: Logger,
): Promise<void> {
  // Products that change during a pass are found by the next one.
  let reportAt = 0;
  for (let count = 0; ; ) {
    const before = count;
    for await (const found of inBatches(products.find(earlier).batchSize(reindexBatchSize), reindexBatchSize)) {
      if (performance.now() >= reportAt) {
        reportAt = performance.now() + progressEveryMs;
        // `npm start` keeps waiting for a service that logs `progress`.
        log.warn({ progress: true, indexed: count }, "indexing products of an earlier release before serving");
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
    log.info({ products: count }, "indexed products of an earlier release");
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

/** Quotes values for a pipeline, in which a text that begins with $ would be an expression. */
function literals(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, { $literal: value }]));
}

export function createProductStore(
  products: Collection<ProductDocument>,
  vocabulary: Pick<Vocabulary, "learn">,
  announce: ChangeNotices["announce"],
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
              // Frees the SKU for another product.
              deleted_sku: "$sku",
              delete_time: now,
              version: { $add: ["$version", 1] },
            },
          },
          { $unset: ["sku", "sku_key"] },
        ],
        { returnDocument: "after", projection: { version: 1 } },
      );
      if (document !== null) announce([productId]);
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
          // The product was undeleted and deleted again meanwhile.
        } catch (error) {
          if (isSkuTaken(error)) throw skuTaken(sku ?? "");
          throw error;
        }
      }
    },
    async sequencesOf(productIds) {
      const documents = await products
        .find({ _id: { $in: [...productIds] }, ...among.catalogue })
        .project<{ _id: string; balance: { sequence: number } }>({ "balance.sequence": 1 })
        .toArray();
      return new Map(documents.map(({ _id, balance }) => [_id, balance.sequence]));
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
    // The key of an unchanged SKU is not written: the product may be a twin, whose plain key another product has.
    $set: { ...detailsToDocument(details), ...(sku !== read.details.sku && skuFields(sku)), update_time: now },
    ...(sku === undefined ? { $unset: { sku: true as const, sku_key: true as const } } : {}),
    $inc: { version: 1 },
  };
}
