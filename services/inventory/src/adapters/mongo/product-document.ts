import { foldText } from "../../domain/fold-text.ts";
import {
  available,
  type Balance,
  type Product,
  type ProductDetails,
  type ProductRequest,
  type ProductState,
} from "../../domain/product.ts";
import { nameKeyOf, termsOf } from "../../domain/search-terms.ts";

export interface ProductDocument {
  _id: string;
  /** False once it was taken out of the catalogue. */
  active: boolean;
  state: ProductState;
  name: string;
  description: string;
  category: string;
  price: { currency_code: string; minor_units: bigint };
  image_url: string;
  attributes: Record<string, string>;
  sku?: string;
  /** The SKU as it is compared. */
  sku_key?: string;
  /** What it was found by, when it is taken out of the catalogue: until then another product may carry it. */
  deleted_sku?: string;
  version: number;
  /** A projection of the ledger, brought up to date by whoever finds it behind. */
  balance: { on_hand: number; reserved: number; sequence: number };
  /** Whether any can be sold: of the same projection, to be found by. */
  in_stock: boolean;
  /** What it is found by; nothing unless it is sold. */
  terms: string[];
  /** What it is sorted by. */
  name_key: string;
  create_time: Date;
  update_time: Date;
  delete_time?: Date;
  /** The request that made it, when its caller named it. */
  request?: ProductRequest;
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

/** All that follows from the details, in a product of the catalogue. */
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

/** The fields of a product that carries a SKU, and not one of the twins of `sku-keys.ts`. */
export function skuFields(sku: string | undefined): Pick<ProductDocument, "sku" | "sku_key"> {
  return sku === undefined ? {} : { sku, sku_key: foldText(sku) };
}

/** All that follows from the ledger. */
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

/** A product of which only some fields were read. */
export type ProductPart = Pick<ProductDocument, "_id"> & Partial<ProductDocument>;

/** Where fields of a product come from that are not kept under their own name. */
const sources: Readonly<Record<string, keyof ProductDocument>> = {
  product_id: "_id",
  stock: "balance",
  etag: "version",
};

/** The projection that reads what these fields of a product are made of. */
export function partOf(fields: ReadonlySet<string>): Record<string, 1> {
  return Object.fromEntries([...fields].map((field) => [sources[field] ?? field, 1]));
}

const nothingRead: Omit<ProductDocument, "_id"> = {
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

/** A product as far as it was read. */
export function fromPart(part: ProductPart): Product {
  return fromDocument({ ...nothingRead, ...part });
}

export function balanceFromDocument({ on_hand, reserved, sequence }: ProductDocument["balance"]): Balance {
  return { onHand: on_hand, reserved, sequence };
}
