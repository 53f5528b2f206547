import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { type Clock, callerOf, currentTraceId } from "@shop/platform";
import { orderBusy, orderNotFound } from "../domain/errors.ts";
import { checkMove } from "../domain/order.ts";
import type { OrderStore } from "../store/order-store.ts";
import { moveEvents } from "../wire/events.ts";
import { toOrderMessage, toStatus } from "../wire/order.ts";

const attempts = 5;

/** Moves an order along the table. A retry after a lost answer is FAILED_PRECONDITION, since the order is there already. */
export function updateOrderStatus(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.updateOrderStatus> {
  return async (request, context) => {
    const caller = callerOf(context);
    const actor = caller.kind === "user" ? caller.userId : "platform";
    const status = toStatus(request.status);
    for (let attempt = 0; attempt < attempts; attempt++) {
      const order = await on.orders.findById(request.orderId);
      if (order === undefined) throw orderNotFound(request.orderId);
      checkMove(order, status);
      const reason = status === "cancelled" ? "cancelled by the shop" : "";
      const move = { status, time: on.clock(), actor, reason, traceId: currentTraceId() ?? "" };
      const moved = await on.orders.move(order, move, moveEvents(order, move));
      if (moved !== undefined) return { order: toOrderMessage(moved) };
      // The order moved between the read and the write: look again whether the table still allows it.
    }
    throw orderBusy(request.orderId);
  };
}
