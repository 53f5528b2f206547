import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { callerOf } from "@shop/platform";
import { readOrder } from "../read-order.ts";
import type { OrderStore } from "../store/order-store.ts";
import { toOrderEvent } from "../wire/order.ts";

/** Lists what happened to an order. Safe to retry. */
export function listOrderEvents(on: {
  readonly orders: OrderStore;
}): MethodImpl<typeof OrderService.method.listOrderEvents> {
  return async ({ orderId }, context) => {
    const caller = callerOf(context);
    await readOrder(on, orderId, caller);
    const moves = await on.orders.findMoves(orderId);
    return { events: moves.map((move, index) => toOrderEvent(move, index + 1, caller)) };
  };
}
