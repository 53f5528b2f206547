import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createPageTokens } from "@shop/core";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { expect, test } from "vitest";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { listPage } from "./list-page.ts";

test("filters by time are exact to the nanosecond, although orders' times are whole milliseconds", async () => {
  const { orders, place } = await openTestOrders();
  const { createTime } = await place();
  const at = timestampFromDate(createTime);
  const later = { ...at, nanos: at.nanos + 1 };
  const pageTokens = createPageTokens(() => ["a secret that is long enough for a test"]);
  const count = async (createTimeFrom?: Timestamp, createTimeBefore?: Timestamp) => {
    const query = { userId: "", status: OrderStatus.UNSPECIFIED, createTimeFrom, createTimeBefore };
    return (await listPage({ orders, pageTokens }, "test", { ...query, pageSize: 0, pageToken: "" })).orders.length;
  };
  expect(await count(at)).toBe(1);
  expect(await count(later)).toBe(0);
  expect(await count(at, at)).toBe(0);
  expect(await count(at, later)).toBe(1);
});
