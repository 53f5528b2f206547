import { type Clock, currentTraceId, retryOnConflict } from "@shop/core";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { moveEvent } from "../adapters/proto/events.ts";
import { orderBusy, orderNotFound } from "../domain/errors.ts";
import type { Order, OrderStatus } from "../domain/order.ts";

/** Where an order goes, by whom and why. */
export interface Intent {
  readonly status: OrderStatus;
  readonly actor: string;
  readonly reason: string;
}

/**
 * Moves an order by compare-and-set: `decide` sees the order as it is, and again if it changed meanwhile; it throws when the
 * order can't be moved, and answers undefined when it need not be. Throws ORDER_NOT_FOUND, and ORDER_BUSY after five tries.
 */
export async function moveOrder(
  on: { readonly orders: OrderStore; readonly clock: Clock },
  orderId: string,
  decide: (order: Order) => Intent | undefined,
): Promise<Order> {
  const attempt = async () => {
    const order = await on.orders.findById(orderId);
    if (order === undefined) throw orderNotFound(orderId);
    const intent = decide(order);
    if (intent === undefined) return order;
    const move = { ...intent, time: on.clock(), traceId: currentTraceId() ?? "" };
    return await on.orders.move(order, move, [moveEvent(order, move)]);
  };
  return await retryOnConflict(attempt, () => orderBusy(orderId));
}

/** Cancels an order that its stock was not decided of in time; one that is no longer pending stays as it is. Throws as `moveOrder`. */
export async function cancelUndecided(
  on: { readonly orders: OrderStore; readonly clock: Clock },
  orderId: string,
): Promise<Order> {
  return await moveOrder(on, orderId, (order) =>
    order.status === "pending"
      ? { status: "cancelled", actor: "orders", reason: "the stock did not answer in time" }
      : undefined,
  );
}
