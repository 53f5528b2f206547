import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { callerOf, isAdmin } from "@shop/platform";
import { orderNotFound } from "../domain/errors.ts";
import type { OrderStore } from "../store/order-store.ts";
import { toOrderEvent } from "../wire/order.ts";

/** Lists what happened to an order. Somebody else's is NOT_FOUND, as if it did not exist. Safe to retry. */
export function listOrderEvents(on: {
  readonly orders: OrderStore;
}): MethodImpl<typeof OrderService.method.listOrderEvents> {
  return async ({ orderId }, context) => {
    const caller = callerOf(context);
    const order = await on.orders.findById(orderId);
    const mayRead = isAdmin(caller) || (caller.kind === "user" && caller.userId === order?.userId);
    if (order === undefined || !mayRead) throw orderNotFound(orderId);
    const moves = await on.orders.findMoves(orderId);
    return { events: moves.map((move, index) => toOrderEvent(move, index + 1)) };
  };
}
