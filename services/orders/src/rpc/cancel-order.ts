import type { MethodImpl } from "@connectrpc/connect";
import { callerOf, isAdmin, userIdOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { toOrderMessage } from "../adapters/proto/order.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { transitionOrder } from "../application/transition-order.ts";
import { cancelReasonRequired, orderNotFound } from "../domain/errors.ts";
import { needsTransition } from "../domain/order.ts";

/** Cancels an order. Safe to retry: an order that is cancelled already is returned unchanged. */
export function cancelOrder(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.cancelOrder> {
  return async ({ orderId, reason }, context) => {
    const userId = userIdOf(context);
    const order = await transitionOrder(on, orderId, (read) => {
      const isOwner = read.userId === userId;
      if (!isOwner && !isAdmin(callerOf(context))) throw orderNotFound(orderId);
      if (!isOwner && reason.trim() === "") throw cancelReasonRequired();
      return needsTransition(read, "cancelled") ? { status: "cancelled", actor: userId, reason } : undefined;
    });
    return { order: toOrderMessage(order) };
  };
}
