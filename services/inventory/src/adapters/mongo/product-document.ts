import { foldText } from "../../domain/fold-text.ts";
import {
  available,
  type Balance,
  type IdempotencyKey,
  type Product,
  type ProductDetails,
  type ProductState,
} from "../../domain/product.ts";
import { nameKeyOf, termsOf } from "../../domain/search-terms.ts";

export interface ProductDocument {
  _id: string;
  /** False when it is deleted. */
  active: boolean;
  state: ProductState;
  name: string;
  description: string;
  category: string;
  price: { currency_code: string; minor_units: bigint };
  image_url: string;
  attributes: Record<string, string>;
  sku?: string;
  /** The unique form of the SKU: see sku-keys.ts. */
  sku_key?: string;
  /** The SKU of a deleted product, which meanwhile another product may have. */
  deleted_sku?: string;
  version: number;
  /** A projection of the ledger. A reader that finds it behind catches it up. */
  balance: { on_hand: number; reserved: number; sequence: number };
  /** Whether stock is available; projected with the balance, for search indexes. */
  in_stock: boolean;
  /** Search terms; empty unless the product is active. */
  terms: string[];
  /** The sort key of the name. */
  name_key: string;
  create_time: Date;
  update_time: Date;
  delete_time?: Date;
  /** Absent when the caller sent no idempotency key. */
  request?: IdempotencyKey;
}

export function toDocument(product: Product): ProductDocument {
  return {
    _id: product.productId,
    active: true,
    ...detailsToDocument(product.details),
    ...skuFields(product.details.sku),
    version: product.version,
    ...balanceToDocument(product.balance),
    create_time: product.createTime,
    update_time: product.updateTime,
  };
}

/** The fields that follow from the details of a product that is not deleted. */
export function detailsToDocument(details: ProductDetails) {
  const { name, description, category, price, sku, imageUrl, attributes, state } = details;
  return {
    state,
    name,
    description,
    category,
    price: { currency_code: price.currencyCode, minor_units: price.minorUnits },
    image_url: imageUrl,
    attributes: { ...attributes },
    ...(sku === undefined ? {} : { sku }),
    terms: state === "active" ? termsOf(details) : [],
    name_key: nameKeyOf(name),
  };
}

/** The SKU fields of a product that is not a twin (see sku-keys.ts). */
export function skuFields(sku: string | undefined): Pick<ProductDocument, "sku" | "sku_key"> {
  return sku === undefined ? {} : { sku, sku_key: foldText(sku) };
}

/** The fields that the ledger is projected into. */
export function balanceToDocument(balance: Balance): Pick<ProductDocument, "balance" | "in_stock"> {
  const { onHand, reserved, sequence } = balance;
  return { balance: { on_hand: onHand, reserved, sequence }, in_stock: available(balance) > 0 };
}

export function fromDocument(document: ProductDocument): Product {
  const { currency_code, minor_units } = document.price;
  return {
    productId: document._id,
    details: {
      name: document.name,
      description: document.description,
      category: document.category,
      price: { currencyCode: currency_code, minorUnits: BigInt(minor_units) },
      sku: document.sku,
      imageUrl: document.image_url,
      attributes: document.attributes,
      state: document.state,
    },
    version: document.version,
    balance: balanceFromDocument(document.balance),
    createTime: document.create_time,
    updateTime: document.update_time,
  };
}

export type ProductPart = Pick<ProductDocument, "_id"> & Partial<ProductDocument>;

/** Fields of the message that have another name in the document. */
const sources: Readonly<Record<string, keyof ProductDocument>> = {
  product_id: "_id",
  stock: "balance",
  etag: "version",
};

/** The projection for these fields of the message. */
export function partOf(fields: ReadonlySet<string>): Record<string, 1> {
  return Object.fromEntries([...fields].map((field) => [sources[field] ?? field, 1]));
}

const unreadDefaults: Omit<ProductDocument, "_id"> = {
  active: true,
  state: "active",
  name: "",
  description: "",
  category: "",
  price: { currency_code: "", minor_units: 0n },
  image_url: "",
  attributes: {},
  version: 0,
  balance: { on_hand: 0, reserved: 0, sequence: 0 },
  in_stock: false,
  terms: [],
  name_key: "",
  create_time: new Date(0),
  update_time: new Date(0),
};

/** A product from a partial document; fields that were not read are empty. */
export function fromPart(part: ProductPart): Product {
  return fromDocument({ ...unreadDefaults, ...part });
}

export function balanceFromDocument({ on_hand, reserved, sequence }: ProductDocument["balance"]): Balance {
  return { onHand: on_hand, reserved, sequence };
}
