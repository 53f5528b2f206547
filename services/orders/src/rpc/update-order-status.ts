import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { actorOf, type Clock, callerOf } from "@shop/platform";
import { checkMove } from "../domain/order.ts";
import { moveOrder } from "../move-order.ts";
import type { OrderStore } from "../store/order-store.ts";
import { toOrderMessage, toStatus } from "../wire/order.ts";

/** Moves an order along the table. A retry after a lost answer is FAILED_PRECONDITION, since the order is there already. */
export function updateOrderStatus(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.updateOrderStatus> {
  return async (request, context) => {
    const actor = actorOf(callerOf(context));
    const status = toStatus(request.status);
    const reason = request.reason || (status === "cancelled" ? "cancelled by the shop" : "");
    const order = await moveOrder(on, request.orderId, (read) => {
      checkMove(read, status);
      return { status, actor, reason };
    });
    return { order: toOrderMessage(order) };
  };
}
