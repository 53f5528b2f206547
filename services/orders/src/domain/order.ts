import { DomainError, invalidFields } from "@shop/core";
import { type Money, sum, times } from "@shop/money";
import { statusMoveRefused } from "./errors.ts";

export type OrderStatus = "pending" | "confirmed" | "rejected" | "shipped" | "delivered" | "cancelled" | "returned";

/** A line of an order: the product as it was when the order was placed. */
export interface OrderItem {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: Money;
}

/** Who moved an order: a user's id, or the part of the platform that did. */
export type Actor = string;

/** A move of an order, kept with it. */
export interface OrderMove {
  readonly status: OrderStatus;
  readonly time: Date;
  readonly actor: Actor;
  /** Why, for the shopper to read; empty when there is nothing to say. */
  readonly reason: string;
  readonly traceId: string;
}

export interface Order {
  readonly orderId: string;
  readonly userId: string;
  readonly status: OrderStatus;
  readonly statusReason: string;
  readonly items: readonly OrderItem[];
  readonly total: Money;
  /** Grows with every move, from {@link placedVersion}; it says nothing of the status. */
  readonly version: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Names the request that placed an order, among its user's requests. */
export interface RequestName {
  readonly id: string;
  /** Of what was asked for: the same name for something else is a mistake. */
  readonly hash: string;
}

/** The version of an order as it was placed. */
export const placedVersion = 1;

/** Every move there is. What is not here can't happen. */
const moves: Readonly<Record<OrderStatus, readonly OrderStatus[]>> = {
  pending: ["confirmed", "rejected", "cancelled"],
  confirmed: ["shipped", "cancelled"],
  shipped: ["delivered"],
  delivered: ["returned"],
  rejected: [],
  cancelled: [],
  returned: [],
};

/** Where an order no longer holds what was set aside for it. */
export const closedStatuses = ["rejected", "cancelled", "shipped", "delivered", "returned"] as const;

/** Tells whether an order that got there stays there. */
export function isFinal(status: OrderStatus): boolean {
  return moves[status].length === 0;
}

/** Whether the table has that move, whoever makes it. */
export function isMove(from: OrderStatus, to: OrderStatus): boolean {
  return moves[from].includes(to);
}

/** What only the platform does, because the stock has to answer first. */
const platformsOwn: readonly OrderStatus[] = ["pending", "confirmed", "rejected"];

/**
 * Whether an order has yet to be moved to where somebody wants it. Throws FAILED_PRECONDITION when the table does not allow the
 * move, or leaves it to the platform.
 */
export function hasToMove(order: Order, to: OrderStatus): boolean {
  const isThere = order.status === to;
  if (platformsOwn.includes(to) || !(isThere || isMove(order.status, to))) {
    throw statusMoveRefused(order.orderId, order.status, to);
  }
  return !isThere;
}

/** The order as it was right after a move, which made it that version. */
export function asMoved(order: Order, move: OrderMove, version: number): Order {
  return { ...order, status: move.status, statusReason: move.reason, version, updateTime: move.time };
}

/** The order as it was when it was accepted: what a repeated request is answered with. */
export function asAccepted(order: Order): Order {
  return { ...order, status: "pending", statusReason: "", version: placedVersion, updateTime: order.createTime };
}

/** No order is worth more, in minor units: sums stay exact everywhere, also in programs that only know doubles. */
const maxTotal = 10n ** 15n;
const maxQuantity = 1_000_000;

/** How many of a product somebody wants. */
export interface WantedItem {
  readonly productId: string;
  readonly quantity: number;
}

/** The quantities of lines by product, added to those in `before`. */
export function unitsByProduct(
  lines: readonly WantedItem[],
  before: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const units = new Map(before);
  for (const { productId, quantity } of lines) units.set(productId, (units.get(productId) ?? 0) + quantity);
  return units;
}

/** Lines of the same product added up. Throws INVALID_ARGUMENT when a sum is too large. */
export function sumByProduct(wanted: readonly WantedItem[]): WantedItem[] {
  return [...unitsByProduct(wanted)].map(([productId, quantity]) => {
    if (quantity > maxQuantity) {
      throw invalidFields([{ field: "items", description: `more than ${maxQuantity} of ${productId}` }]);
    }
    return { productId, quantity };
  });
}

/** What an order of these items costs. Throws INVALID_ARGUMENT when it can't be one order. */
export function totalOf(items: readonly OrderItem[]): Money {
  const currencies = new Set(items.map((item) => item.unitPrice.currencyCode));
  if (currencies.size > 1) {
    throw new DomainError("invalid_argument", "ORDER_CURRENCIES_DIFFER", "one order can't mix currencies", {
      violations: [{ field: "items", description: `priced in ${[...currencies].join(", ")}` }],
    });
  }
  const total = sum(items.map((item) => times(item.unitPrice, item.quantity)));
  if (total.minorUnits > maxTotal) {
    throw new DomainError("invalid_argument", "ORDER_TOO_LARGE", "the order is worth more than one order can be", {
      violations: [{ field: "items", description: `the total exceeds ${maxTotal} minor units` }],
    });
  }
  return total;
}
