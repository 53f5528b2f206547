import type { MethodImpl } from "@connectrpc/connect";
import type { PageTokens } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { listPage } from "../application/list-page.ts";
import type { OrderStore } from "../application/ports/order-store.ts";

/** Lists all users' orders, newest first, for administrators. Safe to retry. */
export function listOrders(on: {
  readonly orders: OrderStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof OrderService.method.listOrders> {
  return async (request) => await listPage(on, "ListOrders", request);
}
