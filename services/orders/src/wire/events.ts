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
