import { describe, expect, test } from "vitest";
import { hasToMove, type Order, type OrderStatus, sumByProduct, totalOf } from "./order.ts";

const money = (minorUnits: bigint, currencyCode = "EUR") => ({ currencyCode, minorUnits });
const item = (quantity: number, unitPrice = money(100n)) => ({ productId: "p", name: "P", quantity, unitPrice });
const orderThatIs = (status: OrderStatus): Order => ({
  orderId: "o",
  userId: "u",
  status,
  statusReason: "",
  items: [item(1)],
  total: money(100n),
  version: 1,
  createTime: new Date(0),
  updateTime: new Date(0),
});

describe("an administrator moves orders only along the table, and only where they are not yet", () => {
  const statuses: OrderStatus[] = ["pending", "confirmed", "rejected", "shipped", "delivered", "cancelled", "returned"];
  const allowed = new Set([
    "pending>cancelled",
    "confirmed>shipped",
    "confirmed>cancelled",
    "shipped>delivered",
    "delivered>returned",
  ]);
  const isThere = new Set(["shipped>shipped", "delivered>delivered", "cancelled>cancelled", "returned>returned"]);
  test.each(statuses.flatMap((from) => statuses.map((to) => [from, to] as const)))("from %s to %s", (from, to) => {
    const move = () => hasToMove(orderThatIs(from), to);
    if (allowed.has(`${from}>${to}`)) expect(move()).toBe(true);
    else if (isThere.has(`${from}>${to}`)) expect(move()).toBe(false);
    else expect(move).toThrow(expect.objectContaining({ kind: "failed_precondition", reason: "ORDER_MOVE_REFUSED" }));
  });
});

test("lines of one product are added up, and the sum has a limit", () => {
  expect(
    sumByProduct([
      { productId: "p", quantity: 2 },
      { productId: "p", quantity: 3 },
    ]),
  ).toEqual([{ productId: "p", quantity: 5 }]);
  expect(() =>
    sumByProduct([
      { productId: "p", quantity: 1_000_000 },
      { productId: "p", quantity: 1 },
    ]),
  ).toThrow(expect.objectContaining({ kind: "invalid_argument" }));
});

test("a total is exact beyond what a double could hold", () => {
  expect(totalOf([item(3, money(333_333_333_333_333n))])).toEqual(money(999_999_999_999_999n));
});

test("an order can't mix currencies, nor be worth more than a limit", () => {
  expect(() => totalOf([item(1), item(1, money(1n, "USD"))])).toThrow(
    expect.objectContaining({ reason: "ORDER_CURRENCIES_DIFFER" }),
  );
  expect(() => totalOf([item(1_000_000, money(1_000_000_000_000n))])).toThrow(
    expect.objectContaining({ reason: "ORDER_TOO_LARGE" }),
  );
});
