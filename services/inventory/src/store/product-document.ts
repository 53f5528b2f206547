import { available, type Balance, type Product, type ProductDetails, type ProductState } from "../domain/product.ts";
import { nameKeyOf, termsOf } from "../domain/search-terms.ts";

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
}

export function toDocument(product: Product): ProductDocument {
  return {
    _id: product.productId,
    active: true,
    ...detailsToDocument(product.details),
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

export function balanceFromDocument({ on_hand, reserved, sequence }: ProductDocument["balance"]): Balance {
  return { onHand: on_hand, reserved, sequence };
}
