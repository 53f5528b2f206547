import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { toOrderMessage, toStatus } from "../adapters/proto/order.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { transitionOrder } from "../application/transition-order.ts";
import { cancelReasonRequired } from "../domain/errors.ts";
import { needsTransition } from "../domain/order.ts";

/** Changes an order's status as the table of transitions allows. Safe to retry: an order that has the status is returned unchanged. */
export function updateOrderStatus(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.updateOrderStatus> {
  return async (request, context) => {
    const actor = actorOf(callerOf(context));
    const status = toStatus(request.status);
    const { reason } = request;
    if (status === "cancelled" && reason.trim() === "") throw cancelReasonRequired();
    const order = await transitionOrder(on, request.orderId, (read) => {
      return needsTransition(read, status) ? { status, actor, reason } : undefined;
    });
    return { order: toOrderMessage(order) };
  };
}
