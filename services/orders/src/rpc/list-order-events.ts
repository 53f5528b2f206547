import type { MethodImpl } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { toOrderEvent } from "../adapters/proto/order.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { readOrder } from "../application/read-order.ts";

/** Lists an order's transitions, oldest first. Safe to retry. */
export function listOrderEvents(on: {
  readonly orders: OrderStore;
}): MethodImpl<typeof OrderService.method.listOrderEvents> {
  return async ({ orderId }, context) => {
    const caller = callerOf(context);
    await readOrder(on, orderId, caller);
    const transitions = (await on.orders.findTransitions([orderId])).get(orderId) ?? [];
    return { events: transitions.map((transition, index) => toOrderEvent(transition, index + 1, caller)) };
  };
}
