import { describe, expect, test } from "vitest";
import { needsTransition, type Order, type OrderStatus, sumByProduct, totalOf } from "./order.ts";

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

describe("a person can request only transitions of the table that are not the platform's, and repeating one changes nothing", () => {
  const statuses: OrderStatus[] = ["pending", "confirmed", "rejected", "shipped", "delivered", "cancelled", "returned"];
  const allowed = new Set([
    "pending>cancelled",
    "confirmed>shipped",
    "confirmed>cancelled",
    "shipped>delivered",
    "delivered>returned",
  ]);
  const repeated = new Set(["shipped>shipped", "delivered>delivered", "cancelled>cancelled", "returned>returned"]);
  test.each(statuses.flatMap((from) => statuses.map((to) => [from, to] as const)))("from %s to %s", (from, to) => {
    const transition = () => needsTransition(orderThatIs(from), to);
    if (allowed.has(`${from}>${to}`)) expect(transition()).toBe(true);
    else if (repeated.has(`${from}>${to}`)) expect(transition()).toBe(false);
    else
      expect(transition).toThrow(
        expect.objectContaining({ kind: "failed_precondition", reason: "ORDER_MOVE_REFUSED" }),
      );
  });
});

test("lines of one product are joined, and their sum is limited", () => {
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

test("a total near the largest one is exact", () => {
  expect(totalOf([item(3, money(333_333_333_333_333n))])).toEqual(money(999_999_999_999_999n));
});

test("an order that mixes currencies or exceeds the largest total is refused", () => {
  expect(() => totalOf([item(1), item(1, money(1n, "USD"))])).toThrow(
    expect.objectContaining({ reason: "ORDER_CURRENCIES_DIFFER" }),
  );
  expect(() => totalOf([item(1_000_000, money(1_000_000_000_000n))])).toThrow(
    expect.objectContaining({ reason: "ORDER_TOO_LARGE" }),
  );
});
