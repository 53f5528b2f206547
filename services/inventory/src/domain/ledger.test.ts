import { expect, test } from "vitest";
import { close, decide, sumByProduct, voidOrders } from "./ledger.ts";

const balance = (onHand: number, reserved = 0, sequence = 1) => ({ onHand, reserved, sequence, name: "Thing" });
const order = (orderId: string, ...lines: [productId: string, quantity: number][]) => ({
  orderId,
  lines: lines.map(([productId, quantity]) => ({ productId, quantity })),
});

test("orders are decided in their sequence, each against the stock that the orders before it left", () => {
  const plan = decide(new Map([["p", balance(5, 1, 7)]]), [
    order("a", ["p", 3]),
    order("b", ["p", 2]),
    order("c", ["p", 1]),
  ]);
  expect(plan.decisions.map(({ outcome }) => outcome)).toEqual(["reserved", "refused", "reserved"]);
  expect(plan.moves).toEqual([{ productId: "p", sequence: 8, onHandDelta: 0, reservedDelta: 4 }]);
});

test("an order is all or nothing", () => {
  const plan = decide(
    new Map([
      ["p", balance(5)],
      ["q", balance(0)],
    ]),
    [order("a", ["p", 1], ["q", 1])],
  );
  expect(plan.decisions).toMatchObject([
    { orderId: "a", outcome: "refused", lines: [], reason: "Thing: 0 left, 1 wanted" },
  ]);
  expect(plan.moves).toEqual([{ productId: "q", sequence: 2, onHandDelta: 0, reservedDelta: 0 }]);
});

test("a refusal claims the next sequence number of the product that ran out, so that a stale balance conflicts", () => {
  const plan = decide(new Map([["p", balance(1, 1, 3)]]), [order("a", ["p", 1])]);
  expect(plan.moves).toEqual([{ productId: "p", sequence: 4, onHandDelta: 0, reservedDelta: 0 }]);
});

test("two lines of one product are decided as their sum", () => {
  const plan = decide(new Map([["p", balance(3)]]), [order("a", ["p", 2], ["p", 2])]);
  expect(plan.decisions[0]?.outcome).toBe("refused");
});

test("an order of a product that is not sold is refused without claiming a sequence number", () => {
  const plan = decide(new Map(), [order("a", ["p", 1])]);
  expect(plan.decisions).toMatchObject([{ outcome: "refused", reason: "a product of this order is no longer sold" }]);
  expect(plan.moves).toEqual([]);
});

test("closing uses the quantities of the decision, and skips orders without a reservation", () => {
  const decisions = [
    { orderId: "a", outcome: "reserved", lines: [{ productId: "p", quantity: 2 }] },
    { orderId: "b", outcome: "refused", lines: [] },
    { orderId: "c", outcome: "void", lines: [] },
  ] as const;
  const balances = new Map([["p", balance(5, 2, 9)]]);
  expect(close(balances, decisions, "released")).toEqual({
    moves: [{ productId: "p", sequence: 10, onHandDelta: 0, reservedDelta: -2 }],
    decisions: [],
    closings: [{ orderId: "a", outcome: "released", productIds: ["p"] }],
  });
  expect(close(balances, decisions, "shipped").moves).toEqual([
    { productId: "p", sequence: 10, onHandDelta: -2, reservedDelta: -2 },
  ]);
});

test("voiding moves nothing", () => {
  expect(voidOrders(["a"])).toEqual({
    moves: [],
    decisions: [{ orderId: "a", outcome: "void", lines: [] }],
    closings: [],
  });
});

test.each([-5, 0, 1.5, Number.NaN])("an order with a quantity of %d is never decided", (quantity) => {
  const balances = new Map([["p", { name: "P", onHand: 10, reserved: 0, sequence: 1 }]]);
  expect(() => decide(balances, [order("a", ["p", quantity])])).toThrow(RangeError);
});

test("lines are joined by product in order of appearance", () => {
  expect(
    sumByProduct([
      { productId: "q", quantity: 1 },
      { productId: "p", quantity: 2 },
      { productId: "q", quantity: 3 },
    ]),
  ).toEqual([
    { productId: "q", quantity: 4 },
    { productId: "p", quantity: 2 },
  ]);
});
