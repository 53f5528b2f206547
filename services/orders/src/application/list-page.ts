import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { cutPage, defaultPageSize, type PageTokens } from "@shop/core";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { toOrderMessage, toStatus } from "../adapters/proto/order.ts";
import type { OrderStore } from "./ports/order-store.ts";

/** The filters that both listings share; an empty `userId` means all users. */
interface OrderQuery {
  readonly userId: string;
  readonly status: OrderStatus;
  readonly createTimeFrom?: Timestamp | undefined;
  readonly createTimeBefore?: Timestamp | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Rounds up to whole milliseconds, the resolution of orders' times. */
function firstDateAt({ seconds, nanos }: Timestamp): Date {
  return new Date(Number(seconds) * 1_000 + Math.ceil(nanos / 1e6));
}

/** Reads a page of orders. A page token is valid only for the same `listing` and filters. */
export async function listPage(
  on: { readonly orders: OrderStore; readonly pageTokens: PageTokens },
  listing: string,
  { userId, status, createTimeFrom, createTimeBefore, pageSize, pageToken }: OrderQuery,
) {
  const createdFrom = createTimeFrom && firstDateAt(createTimeFrom);
  const createdBefore = createTimeBefore && firstDateAt(createTimeBefore);
  const query = [listing, userId, status, createdFrom, createdBefore];
  const limit = pageSize || defaultPageSize;
  const filter = {
    userId: userId || undefined,
    status: status === OrderStatus.UNSPECIFIED ? undefined : toStatus(status),
    createdFrom,
    createdBefore,
    after: pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query),
  };
  const { page, last } = cutPage(await on.orders.list(filter, limit + 1), limit);
  return {
    orders: page.map(toOrderMessage),
    nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.orderId, query),
  };
}
