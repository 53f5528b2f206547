import type { Money } from "@shop/platform";

/** What of a product its owner decides. */
export interface ProductDetails {
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly price: Money;
  readonly sku: string | undefined;
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

/** Which state of a product it is: both only grow. Who knows of one change alone leaves the other at 0. */
export interface ProductRevision {
  readonly productId: string;
  /** Of the details. */
  readonly version: number;
  /** Of the last movement. */
  readonly sequence: number;
}

/** How many can be sold now. */
export function available(balance: Balance): number {
  return balance.onHand - balance.reserved;
}

/** Names a version of the details (RFC 9110, 8.8.3, without the quotes). */
export function etagOf(product: Product): string {
  return `v${product.version}`;
}
