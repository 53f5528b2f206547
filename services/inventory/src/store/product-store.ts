import { isDuplicateKey } from "@shop/platform";
import type { Collection, Db, Filter } from "mongodb";
import { productNotFound, skuTaken } from "../domain/errors.ts";
import type { Balances } from "../domain/ledger.ts";
import type { Balance, Product, ProductDetails } from "../domain/product.ts";

export interface ProductDocument {
  _id: string;
  /** False once it was taken out of the catalogue. */
  active: boolean;
  name: string;
  description: string;
  category: string;
  price: { currency_code: string; minor_units: bigint };
  sku?: string;
  version: number;
  /** A projection of the ledger, brought up to date by whoever finds it behind. */
  balance: { on_hand: number; reserved: number; sequence: number };
  create_time: Date;
  update_time: Date;
  delete_time?: Date;
}

export interface ProductFilter {
  /** Part of the name, whatever its case. */
  readonly name: string;
  readonly category: string;
  /** Only products that come after this one in the listing. */
  readonly after: string | undefined;
}

/** The catalogue. What was taken out of it can't be found here; its stock is still the ledger's. */
export interface ProductStore {
  findById(productId: string): Promise<Product | undefined>;
  findByIds(productIds: readonly string[]): Promise<Product[]>;
  /** Newest first. */
  list(filter: ProductFilter, limit: number): Promise<Product[]>;
  /**
   * Writes new details over a version that was read; undefined when it is no longer the version there is. Throws SKU_TAKEN.
   */
  update(read: Product, details: ProductDetails, now: Date): Promise<Product | undefined>;
  /** Throws PRODUCT_NOT_FOUND when it is not in the catalogue. Answers the version of its going. */
  remove(productId: string, now: Date): Promise<number>;
  /** What can be promised is in the catalogue; what was promised may have left it since. */
  balancesOf(productIds: readonly string[], among: "catalogue" | "all"): Promise<Balances>;
}

/** The collection, with its indexes. The ledger projects into it. */
export async function openProducts(db: Db): Promise<Collection<ProductDocument>> {
  const products = db.collection<ProductDocument>("products");
  await products.createIndexes([
    { key: { sku: 1 }, name: "sku", unique: true, partialFilterExpression: { sku: { $exists: true } } },
    { key: { active: 1, _id: -1 }, name: "active" },
    { key: { active: 1, category: 1, _id: -1 }, name: "category" },
  ]);
  return products;
}

export function createProductStore(products: Collection<ProductDocument>): ProductStore {
  return {
    async findById(productId) {
      const document = await products.findOne({ _id: productId, active: true });
      return document === null ? undefined : fromDocument(document);
    },
    async findByIds(productIds) {
      const documents = await products.find({ _id: { $in: [...productIds] }, active: true }).toArray();
      return documents.map(fromDocument);
    },
    async list({ name, category, after }, limit) {
      const filter: Filter<ProductDocument> = {
        active: true,
        ...(category === "" ? {} : { category }),
        ...(name === "" ? {} : { name: { $regex: RegExp.escape(name), $options: "i" } }),
        ...(after === undefined ? {} : { _id: { $lt: after } }),
      };
      return (await products.find(filter).sort({ _id: -1 }).limit(limit).toArray()).map(fromDocument);
    },
    async update(read, details, now) {
      const { sku, ...fields } = detailsToDocument(details);
      try {
        const document = await products.findOneAndUpdate(
          { _id: read.productId, active: true, version: read.version },
          {
            $set: { ...fields, ...(sku === undefined ? {} : { sku }), update_time: now },
            ...(sku === undefined ? { $unset: { sku: true } } : {}),
            $inc: { version: 1 },
          },
          { returnDocument: "after" },
        );
        return document === null ? undefined : fromDocument(document);
      } catch (error) {
        if (isDuplicateKey(error, "sku")) throw skuTaken(details.sku ?? "");
        throw error;
      }
    },
    async remove(productId, now) {
      const document = await products.findOneAndUpdate(
        { _id: productId, active: true },
        // Its SKU is free for another product.
        { $set: { active: false, delete_time: now }, $unset: { sku: true }, $inc: { version: 1 } },
        { returnDocument: "after", projection: { version: 1 } },
      );
      if (document === null) throw productNotFound(productId);
      return document.version;
    },
    async balancesOf(productIds, among) {
      const documents = await products
        .find({ _id: { $in: [...productIds] }, ...(among === "catalogue" ? { active: true } : {}) })
        .project<Pick<ProductDocument, "_id" | "name" | "balance">>({ name: 1, balance: 1 })
        .toArray();
      return new Map(
        documents.map((document) => [document._id, { name: document.name, ...balanceFromDocument(document.balance) }]),
      );
    },
  };
}

export function toDocument(product: Product): ProductDocument {
  const { onHand, reserved, sequence } = product.balance;
  return {
    _id: product.productId,
    active: true,
    ...detailsToDocument(product.details),
    version: product.version,
    balance: { on_hand: onHand, reserved, sequence },
    create_time: product.createTime,
    update_time: product.updateTime,
  };
}

function detailsToDocument({ price, sku, ...rest }: ProductDetails) {
  return {
    ...rest,
    price: { currency_code: price.currencyCode, minor_units: price.minorUnits },
    ...(sku === undefined ? {} : { sku }),
  };
}

function fromDocument(document: ProductDocument): Product {
  const { currency_code, minor_units } = document.price;
  return {
    productId: document._id,
    details: {
      name: document.name,
      description: document.description,
      category: document.category,
      price: { currencyCode: currency_code, minorUnits: BigInt(minor_units) },
      sku: document.sku,
    },
    version: document.version,
    balance: balanceFromDocument(document.balance),
    createTime: document.create_time,
    updateTime: document.update_time,
  };
}

function balanceFromDocument(balance: ProductDocument["balance"]): Balance {
  return { onHand: balance.on_hand, reserved: balance.reserved, sequence: balance.sequence };
}
