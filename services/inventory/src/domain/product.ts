import type { Money } from "@shop/money";

/** An archived product can be read by its id, but neither found nor ordered. */
export type ProductState = "active" | "archived";

/** The fields that administrators set. */
export interface ProductDetails {
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly price: Money;
  readonly sku: string | undefined;
  /** Empty when the product has no picture. */
  readonly imageUrl: string;
  /** Keys consist of a-z, 0-9 and _, so none of them is an operator or a path of the database. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly state: ProductState;
}

/** The sum of a product's movements up to `sequence`. */
export interface Balance {
  readonly onHand: number;
  /** Never more than `onHand`. */
  readonly reserved: number;
  /** The number of the last movement included. */
  readonly sequence: number;
}

export interface Product {
  readonly productId: string;
  readonly details: ProductDetails;
  /** Grows with every change of the details. */
  readonly version: number;
  readonly balance: Balance;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Identifies the request that created a product, among those of its caller. */
export interface IdempotencyKey {
  readonly actor: string;
  readonly id: string;
  /** Of the request's content: the same id with other content is refused. */
  readonly hash: string;
  /** As stored: an existing category may be spelled differently from the request's. */
  readonly category?: string;
}

/** Orders the states of a product: both numbers only grow. A caller that knows only one of them sets the other to 0. */
export interface ProductRevision {
  readonly productId: string;
  /** Of the details. */
  readonly version: number;
  /** Of the last movement. */
  readonly sequence: number;
}

/** A new product, whose stock is its first movement. */
export function newProduct(productId: string, details: ProductDetails, stock: number, now: Date): Product {
  const balance = { onHand: stock, reserved: 0, sequence: 1 };
  return { productId, details, version: 1, balance, createTime: now, updateTime: now };
}

export function available(balance: Balance): number {
  return balance.onHand - balance.reserved;
}

/** The etag of the details (RFC 9110, 8.8.3, without the quotes). */
export function etagOf(product: Product): string {
  return `v${product.version}`;
}

/** The version of an etag; -1, which no product has, if the text is not an etag. */
export function versionOf(etag: string): number {
  return /^v\d{1,15}$/.test(etag) ? Number(etag.slice(1)) : -1;
}
