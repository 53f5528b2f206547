import {
  OrderCancelledSchema,
  OrderPlacedSchema,
  OrderReturnedSchema,
  OrderShippedSchema,
} from "@shop/gen/shop/orders/v1/events_pb";
import { type PendingEvent, pendingEvent } from "@shop/platform";
import type { Order, OrderMove } from "../domain/order.ts";

const service = "orders";

/** Tells that an order waits for its stock. `n` makes a repetition an event of its own. */
export function placedEvent(order: Order, n = 0): PendingEvent {
  const lines = order.items.map(({ productId, quantity }) => ({ productId, quantity }));
  const about = { service, aggregateId: order.orderId, version: order.version, n, time: order.createTime };
  return pendingEvent(OrderPlacedSchema, { orderId: order.orderId, lines }, about);
}

/** Tells once more, of an order that has ended so, what the stock has to do. `time` makes it an event of its own. */
export function closedEvent(
  { orderId, version }: Pick<Order, "orderId" | "version">,
  status: "cancelled" | "shipped" | "returned",
  time: Date,
): PendingEvent {
  const about = { service, aggregateId: orderId, version, n: time.getTime(), time };
  switch (status) {
    case "cancelled":
      return pendingEvent(OrderCancelledSchema, { orderId }, about);
    case "shipped":
      return pendingEvent(OrderShippedSchema, { orderId }, about);
    case "returned":
      return pendingEvent(OrderReturnedSchema, { orderId }, about);
  }
}

/** Tells of a move, if anybody needs to know: the stock does, when an order is called off, leaves or comes back. */
export function moveEvents({ orderId, version }: Order, move: OrderMove): PendingEvent[] {
  const about = { service, aggregateId: orderId, version: version + 1, time: move.time };
  switch (move.status) {
    case "shipped":
      return [pendingEvent(OrderShippedSchema, { orderId }, about)];
    case "cancelled":
      return [pendingEvent(OrderCancelledSchema, { orderId, reason: move.reason }, about)];
    case "returned":
      return [pendingEvent(OrderReturnedSchema, { orderId }, about)];
    default:
      return [];
  }
}
