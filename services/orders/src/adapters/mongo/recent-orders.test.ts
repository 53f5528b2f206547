import { expect, test } from "vitest";
import type { Order } from "../../domain/order.ts";
import { createRecentOrders } from "./recent-orders.ts";

const orderOf = (orderId: string) => ({ orderId }) as Order;

test("take returns all requested orders in the requested order, or undefined, and removes them", () => {
  const recent = createRecentOrders();
  for (const id of ["a", "b", "c"]) recent.add(orderOf(id));
  expect(recent.take(["c", "a"])).toEqual([orderOf("c"), orderOf("a")]);
  expect(recent.take(["a", "b"])).toBeUndefined();
  expect(recent.take(["b"])).toBeUndefined();
});

test("recent orders are bounded in number and in age", () => {
  let now = 0;
  const recent = createRecentOrders(() => now);
  for (let n = 0; n <= 10_000; n++) recent.add(orderOf(String(n)));
  expect(recent.take(["0"])).toBeUndefined();
  expect(recent.take(["1"])).toEqual([orderOf("1")]);
  now = 10_000;
  expect(recent.take(["2"])).toBeUndefined();
});
