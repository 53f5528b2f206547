import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { cutPage, defaultPageSize, type PageTokens, userIdOf } from "@shop/platform";
import type { OrderStore } from "../store/order-store.ts";
import { toOrderMessage } from "../wire/order.ts";

/** Lists the caller's own orders, newest first. Safe to retry. */
export function getOrdersByUser(on: {
  readonly orders: OrderStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof OrderService.method.getOrdersByUser> {
  return async ({ pageSize, pageToken }, context) => {
    const userId = userIdOf(context);
    const query = ["GetOrdersByUser", userId];
    const limit = pageSize || defaultPageSize;
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const { page, last } = cutPage(await on.orders.listByUser(userId, after, limit + 1), limit);
    return {
      orders: page.map(toOrderMessage),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.orderId, query),
    };
  };
}
