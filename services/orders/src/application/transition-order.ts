import { type Clock, currentTraceId, retryOnConflict } from "@shop/core";
import { transitionEvent } from "../adapters/proto/events.ts";
import { orderBusy, orderNotFound } from "../domain/errors.ts";
import type { Order, OrderStatus } from "../domain/order.ts";
import type { OrderStore } from "./ports/order-store.ts";

export interface Intent {
  readonly status: OrderStatus;
  readonly actor: string;
  readonly reason: string;
}

/**
 * Changes an order's status by compare-and-set. `decide` gets the current order, and is called again if the order changed meanwhile; it
 * throws to refuse, and returns undefined when nothing has to change. Throws ORDER_NOT_FOUND, and ORDER_BUSY after five tries.
 */
export async function transitionOrder(
  on: { readonly orders: OrderStore; readonly clock: Clock },
  orderId: string,
  decide: (order: Order) => Intent | undefined,
): Promise<Order> {
  const attempt = async () => {
    const order = await on.orders.findById(orderId);
    if (order === undefined) throw orderNotFound(orderId);
    const intent = decide(order);
    if (intent === undefined) return order;
    const transition = { ...intent, time: on.clock(), traceId: currentTraceId() ?? "" };
    return await on.orders.transition(order, transition, [transitionEvent(order, transition)]);
  };
  return await retryOnConflict(attempt, () => orderBusy(orderId));
}

/** Cancels an order whose decision is overdue; leaves one that is no longer pending unchanged. Throws like `transitionOrder`. */
export async function cancelUndecided(
  on: { readonly orders: OrderStore; readonly clock: Clock },
  orderId: string,
): Promise<Order> {
  return await transitionOrder(on, orderId, (order) =>
    order.status === "pending"
      ? { status: "cancelled", actor: "orders", reason: "stock was not reserved in time" }
      : undefined,
  );
}
