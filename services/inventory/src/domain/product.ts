import type { Money } from "@shop/money";

/** Whether its owner sells it. What is archived can be read, but neither found nor ordered. */
export type ProductState = "active" | "archived";

/** What of a product its owner decides. */
export interface ProductDetails {
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly price: Money;
  readonly sku: string | undefined;
  /** Empty when there is no picture. */
  readonly imageUrl: string;
  /** By keys of a-z, 0-9 and _: none of them is an operator or a path of the database. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly state: ProductState;
}

/** How much of a product there is: the sum of its movements up to `sequence`. */
export interface Balance {
  readonly onHand: number;
  /** Set aside for orders; never more than what is on hand. */
  readonly reserved: number;
  /** Of the last movement. */
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

/** Names the request that made a product, among those of its caller. */
export interface ProductRequest {
  readonly actor: string;
  readonly id: string;
  /** Of what was asked for: the same name for something else is a mistake. */
  readonly hash: string;
  /** As the product was made with: what comes into a category may be written otherwise than it was asked for. */
  readonly category?: string;
}

/** Which state of a product it is: both only grow. Who knows of one change alone leaves the other at 0. */
export interface ProductRevision {
  readonly productId: string;
  /** Of the details. */
  readonly version: number;
  /** Of the last movement. */
  readonly sequence: number;
}

/** A product as it begins: its stock is the first movement. */
export function newProduct(productId: string, details: ProductDetails, stock: number, now: Date): Product {
  const balance = { onHand: stock, reserved: 0, sequence: 1 };
  return { productId, details, version: 1, balance, createTime: now, updateTime: now };
}

/** How many can be sold now. */
export function available(balance: Balance): number {
  return balance.onHand - balance.reserved;
}

/** Names a version of the details (RFC 9110, 8.8.3, without the quotes). */
export function etagOf(product: Product): string {
  return `v${product.version}`;
}

/** The version that an etag names; of what is no etag, one that no product has. */
export function versionOf(etag: string): number {
  return /^v\d{1,15}$/.test(etag) ? Number(etag.slice(1)) : -1;
}
