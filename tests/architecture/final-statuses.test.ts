import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { expect, test } from "vitest";
import { finalStatuses } from "../../client/src/watch.ts";
import { toStatus } from "../../services/orders/src/adapters/proto/order.ts";
import { isFinal } from "../../services/orders/src/domain/order.ts";

test("a watch of the client ends at the final statuses of an order, and at no others", () => {
  const values = Object.values(OrderStatus).filter((value) => typeof value === "number");
  const statuses = values.filter((value) => value !== OrderStatus.UNSPECIFIED);
  expect(statuses.length).toBeGreaterThan(6);
  const final = statuses.filter((status) => isFinal(toStatus(status)));
  expect([...finalStatuses].toSorted()).toEqual(final.toSorted());
});
