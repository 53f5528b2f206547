import { DomainError, invalidFields } from "@shop/core";
import { type Money, sum, times } from "@shop/money";
import { transitionRefused } from "./errors.ts";

export type OrderStatus = "pending" | "confirmed" | "rejected" | "shipped" | "delivered" | "cancelled" | "returned";

/** A line of an order: the product as it was when the order was placed. */
export interface OrderItem {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: Money;
}

/** A user's id, or the name of a service. */
export type Actor = string;

/** An entry of an order's history. */
export interface OrderTransition {
  readonly status: OrderStatus;
  readonly time: Date;
  readonly actor: Actor;
  /** For the customer to read; may be empty. */
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
  /** Grows by one with every transition, from {@link placedVersion}. It implies no status. */
  readonly version: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Identifies the request that placed an order, among its user's requests. */
export interface IdempotencyKey {
  readonly id: string;
  /** Of the request's content: the same id with other content is refused. */
  readonly hash: string;
}

export const placedVersion = 1;

/** All possible transitions. */
const transitions: Readonly<Record<OrderStatus, readonly OrderStatus[]>> = {
  pending: ["confirmed", "rejected", "cancelled"],
  confirmed: ["shipped", "cancelled"],
  shipped: ["delivered"],
  delivered: ["returned"],
  rejected: [],
  cancelled: [],
  returned: [],
};

/** Statuses in which an order no longer holds reserved stock. */
export const closedStatuses = ["rejected", "cancelled", "shipped", "delivered", "returned"] as const;

/** Whether no transition leads out of the status. */
export function isFinal(status: OrderStatus): boolean {
  return transitions[status].length === 0;
}

/** Whether the table has that transition, by a person or by the platform. */
export function isTransition(from: OrderStatus, to: OrderStatus): boolean {
  return transitions[from].includes(to);
}

/** Statuses that only the platform sets, because they depend on inventory's decision. */
const platformStatuses: readonly OrderStatus[] = ["pending", "confirmed", "rejected"];

/**
 * True if a user's request has to change the status to `to`; false if the order has that status already. Throws ORDER_MOVE_REFUSED when the table does not allow
 * that transition, or only the platform may make it.
 */
export function needsTransition(order: Order, to: OrderStatus): boolean {
  const isThere = order.status === to;
  if (platformStatuses.includes(to) || !(isThere || isTransition(order.status, to))) {
    throw transitionRefused(order.orderId, order.status, to);
  }
  return !isThere;
}

/** The order as it was right after the transition that made it `version`. */
export function afterTransition(order: Order, transition: OrderTransition, version: number): Order {
  return { ...order, status: transition.status, statusReason: transition.reason, version, updateTime: transition.time };
}

/** The order as it was placed, which is the response to a repeated request. */
export function asAccepted(order: Order): Order {
  return { ...order, status: "pending", statusReason: "", version: placedVersion, updateTime: order.createTime };
}

/** In minor units. Below 2^53, so that sums stay exact in programs that only have doubles. */
const maxTotal = 10n ** 15n;
const maxQuantity = 1_000_000;

/** A line before it has a name and price. */
export interface WantedItem {
  readonly productId: string;
  readonly quantity: number;
}

/** Adds the lines' quantities by product to those in `before`. */
export function unitsByProduct(
  lines: readonly WantedItem[],
  before: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const units = new Map(before);
  for (const { productId, quantity } of lines) units.set(productId, (units.get(productId) ?? 0) + quantity);
  return units;
}

/** Joins lines of the same product. Throws INVALID_ARGUMENT when a sum exceeds the largest quantity. */
export function sumByProduct(wanted: readonly WantedItem[]): WantedItem[] {
  return [...unitsByProduct(wanted)].map(([productId, quantity]) => {
    if (quantity > maxQuantity) {
      throw invalidFields([{ field: "items", description: `more than ${maxQuantity} of ${productId}` }]);
    }
    return { productId, quantity };
  });
}

/** The price of all items. Throws ORDER_CURRENCIES_DIFFER when they mix currencies, ORDER_TOO_LARGE above the largest total. */
export function totalOf(items: readonly OrderItem[]): Money {
  const currencies = new Set(items.map((item) => item.unitPrice.currencyCode));
  if (currencies.size > 1) {
    throw new DomainError("invalid_argument", "ORDER_CURRENCIES_DIFFER", "one order can't mix currencies", {
      violations: [{ field: "items", description: `priced in ${[...currencies].join(", ")}` }],
    });
  }
  const total = sum(items.map((item) => times(item.unitPrice, item.quantity)));
  if (total.minorUnits > maxTotal) {
    throw new DomainError("invalid_argument", "ORDER_TOO_LARGE", "the order's total is too large", {
      violations: [{ field: "items", description: `the total exceeds ${maxTotal} minor units` }],
    });
  }
  return total;
}
