import type { MethodImpl } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { toOrderMessage } from "../adapters/proto/order.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { readOrder } from "../application/read-order.ts";

/** Reads an order. Safe to retry. */
export function getOrderByID(on: { readonly orders: OrderStore }): MethodImpl<typeof OrderService.method.getOrderByID> {
  return async ({ orderId }, context) => ({ order: toOrderMessage(await readOrder(on, orderId, callerOf(context))) });
}
