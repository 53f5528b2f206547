import type { MethodImpl } from "@connectrpc/connect";
import { callerOf, isAdmin, userIdOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { toOrderMessage } from "../adapters/proto/order.ts";
import { moveOrder } from "../application/move-order.ts";
import { cancelReasonRequired, orderNotFound } from "../domain/errors.ts";
import { hasToMove } from "../domain/order.ts";

/** Calls an order off. Safe to retry: an order that is cancelled already is answered as it is. */
export function cancelOrder(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.cancelOrder> {
  return async ({ orderId, reason }, context) => {
    const userId = userIdOf(context);
    const order = await moveOrder(on, orderId, (read) => {
      const isOwner = read.userId === userId;
      if (!isOwner && !isAdmin(callerOf(context))) throw orderNotFound(orderId);
      if (!isOwner && reason.trim() === "") throw cancelReasonRequired();
      return hasToMove(read, "cancelled") ? { status: "cancelled", actor: userId, reason } : undefined;
    });
    return { order: toOrderMessage(order) };
  };
}
