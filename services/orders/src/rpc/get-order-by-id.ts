import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { callerOf } from "@shop/platform";
import { readOrder } from "../read-order.ts";
import type { OrderStore } from "../store/order-store.ts";
import { toOrderMessage } from "../wire/order.ts";

/** Reads an order. Safe to retry. */
export function getOrderByID(on: { readonly orders: OrderStore }): MethodImpl<typeof OrderService.method.getOrderByID> {
  return async ({ orderId }, context) => ({ order: toOrderMessage(await readOrder(on, orderId, callerOf(context))) });
}
