import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import type { PageTokens } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { listPage } from "../application/list-page.ts";
import type { OrderStore } from "../application/ports/order-store.ts";

/** Lists the caller's own orders, newest first. Safe to retry. */
export function getOrdersByUser(on: {
  readonly orders: OrderStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof OrderService.method.getOrdersByUser> {
  return async (request, context) => await listPage(on, "GetOrdersByUser", { ...request, userId: userIdOf(context) });
}
