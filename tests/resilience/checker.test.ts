import { describe, expect, test } from "vitest";
import { check, type LedgerEntry, type Observed, type ObservedOrder, type ProblemKind } from "./checker.ts";
import type { AcceptedMove, History, OrderRequest } from "./record.ts";

/** A history and its result, which a test can damage. */
interface Story {
  history: { -readonly [Part in keyof History]: History[Part][number][] };
  observed: {
    orders: { -readonly [Field in keyof ObservedOrder]: ObservedOrder[Field] }[];
    products: { -readonly [Field in keyof Observed["products"][number]]: Observed["products"][number][Field] }[];
    ledger: { -readonly [Field in keyof LedgerEntry]: LedgerEntry[Field][number][] }[];
    outboxes: Record<string, number>;
    publishedChanges: Observed["publishedChanges"][number][];
  };
}

const lines = (quantity: number) => [{ productId: "tea", quantity }];
const request = (key: string | undefined, orderId: string | undefined, quantity: number): OrderRequest => ({
  userId: "ann",
  key,
  lines: lines(quantity),
  answers: [
    { kind: "unknown", code: "Unavailable", message: "gone", at: 1 },
    ...(orderId === undefined ? [] : [{ kind: "accepted", orderId, at: 2 } as const]),
  ],
});
const order = (orderId: string, status: string, quantity: number, key?: string): ObservedOrder => ({
  orderId,
  userId: "ann",
  status,
  lines: lines(quantity),
  path: paths[status] ?? ["PENDING", status],
  key,
});
const paths: Readonly<Record<string, readonly string[]>> = { SHIPPED: ["PENDING", "CONFIRMED", "SHIPPED"] };
const move = (sequence: number, onHandDelta: number, reservedDelta: number) => ({
  product_id: "tea",
  sequence,
  on_hand_delta: onHandDelta,
  reserved_delta: reservedDelta,
});
const decision = (order_id: string, outcome: string, quantity: number) => ({
  order_id,
  outcome,
  lines: outcome === "reserved" ? [{ product_id: "tea", quantity }] : [],
});

/**
 * Ten units of one product: 3 reserved, 2 released, 1 shipped, one order rejected, one voided, one placed without an
 * answer.
 */
function goodStory(): Story {
  const moves = [move(1, 10, 0), move(2, 0, 6), move(3, 0, 0), move(4, 0, -2), move(5, -1, -1), move(6, 5, 0)];
  return {
    history: {
      products: [{ productId: "tea", stock: 10 }],
      requests: [
        request("k1", "o1", 3),
        request("k2", "o2", 2),
        request("k3", "o3", 1),
        request("k4", "o4", 99),
        request("k5", "o5", 4),
        request(undefined, undefined, 77),
      ],
      moves: [
        { orderId: "o2", to: "CANCELLED" },
        { orderId: "o3", to: "SHIPPED" },
      ],
      adjustments: [{ productId: "tea", requestId: "a1", delta: 5, outcome: "done" }],
    },
    observed: {
      orders: [
        order("o1", "CONFIRMED", 3, "k1"),
        order("o2", "CANCELLED", 2, "k2"),
        order("o3", "SHIPPED", 1, "k3"),
        order("o4", "REJECTED", 99, "k4"),
        order("o5", "CANCELLED", 4, "k5"),
        order("o6", "REJECTED", 77),
      ],
      products: [
        {
          productId: "tea",
          available: 11,
          onHand: 14,
          reserved: 3,
          movements: moves.map(({ on_hand_delta, reserved_delta }) => ({
            onHandDelta: on_hand_delta,
            reservedDelta: reserved_delta,
          })),
        },
      ],
      ledger: [
        { moves: [moves[0]!], decisions: [], closings: [] },
        {
          moves: [moves[1]!],
          decisions: [decision("o1", "reserved", 3), decision("o2", "reserved", 2), decision("o3", "reserved", 1)],
          closings: [],
        },
        { moves: [moves[2]!], decisions: [decision("o4", "refused", 99), decision("o6", "refused", 77)], closings: [] },
        { moves: [], decisions: [decision("o5", "void", 4)], closings: [] },
        { moves: [moves[3]!], decisions: [], closings: [{ order_id: "o2", outcome: "released" }] },
        { moves: [moves[4]!], decisions: [], closings: [{ order_id: "o3", outcome: "shipped" }] },
        { moves: [moves[5]!], decisions: [], closings: [] },
      ],
      outboxes: { "orders.orders": 0, "inventory.ledger": 0 },
      publishedChanges: [
        ...["o1", "o2", "o3", "o4", "o5", "o6"].map((orderId) => ({ orderId, status: "PENDING" })),
        ...["o1", "o3"].map((orderId) => ({ orderId, status: "CONFIRMED" })),
        ...["o4", "o6"].map((orderId) => ({ orderId, status: "REJECTED" })),
        ...["o2", "o5"].map((orderId) => ({ orderId, status: "CANCELLED" })),
        { orderId: "o3", status: "SHIPPED" },
      ],
    },
  };
}

/** Each kind of damage, and the checker's name for it. */
const damages: readonly (readonly [string, ProblemKind, (story: Story) => void])[] = [
  ["an accepted order is missing", "lost", ({ observed }) => void observed.orders.shift()],
  ["an order's confirmation has no event", "untold", ({ observed }) => void observed.publishedChanges.splice(6, 1)],
  [
    "an event has no corresponding change",
    "untrue",
    ({ observed }) => void observed.publishedChanges.push({ orderId: "o1", status: "SHIPPED" }),
  ],
  ["an order never ends", "stuck", ({ observed }) => void Object.assign(observed.orders[0]!, { status: "PENDING" })],
  [
    "one key got two answers",
    "doubled",
    ({ history, observed }) => {
      const [first] = history.requests;
      history.requests[0] = { ...first!, answers: [...first!.answers, { kind: "accepted", orderId: "o7", at: 3 }] };
      observed.orders.push(order("o7", "REJECTED", 3));
    },
  ],
  ["a retry made a second order", "doubled", ({ observed }) => void observed.orders.push(order("o7", "REJECTED", 3))],
  ["two orders have one key", "doubled", ({ observed }) => void Object.assign(observed.orders[1]!, { key: "k1" })],
  [
    "a request without a certain answer became two orders",
    "doubled",
    ({ observed }) => void observed.orders.push(order("o7", "REJECTED", 77)),
  ],
  [
    "a key reused for another request was accepted",
    "changed",
    ({ history }) => void history.requests.push(request("k1", "o1", 5)),
  ],
  [
    "an order differs from its request",
    "changed",
    ({ observed }) => void Object.assign(observed.orders[3]!, { lines: lines(98) }),
  ],
  [
    "a cancellation was lost",
    "move lost",
    ({ history }) => void (history.moves as AcceptedMove[]).push({ orderId: "o1", to: "CANCELLED" }),
  ],
  [
    "more is reserved than on hand",
    "oversold",
    ({ observed }) => void Object.assign(observed.ledger[1]!, { moves: [{ ...move(2, 0, 6), reserved_delta: 11 }] }),
  ],
  [
    "more was shipped than on hand",
    "oversold",
    ({ observed }) => void Object.assign(observed.ledger[5]!, { moves: [move(5, -11, -1)] }),
  ],
  ["a movement is missing", "ledger", ({ observed }) => void observed.ledger.splice(4, 1)],
  [
    "a sequence number was used twice",
    "ledger",
    ({ observed }) => void Object.assign(observed.ledger[2]!, { moves: [move(2, 0, 0)] }),
  ],
  [
    "the listed movements differ from the ledger",
    "ledger",
    ({ observed }) =>
      void Object.assign(observed.products[0]!, { movements: observed.products[0]!.movements.slice(1) }),
  ],
  [
    "the balance is behind the ledger",
    "balance",
    ({ observed }) => void Object.assign(observed.products[0]!, { reserved: 4 }),
  ],
  [
    "the catalogue shows another stock",
    "balance",
    ({ observed }) => void Object.assign(observed.products[0]!, { available: 12 }),
  ],
  [
    "stock is reserved for an order that ended",
    "balance",
    ({ observed }) => void Object.assign(observed.orders[0]!, { status: "REJECTED" }),
  ],
  [
    "an adjustment was made twice",
    "balance",
    ({ observed }) => void observed.ledger.push({ moves: [move(7, 5, 0)], decisions: [], closings: [] }),
  ],
  ["a confirmed order was never decided", "decision", ({ observed }) => void observed.ledger[1]!.decisions.shift()],
  [
    "an order was decided twice",
    "decision",
    ({ observed }) => void observed.ledger[3]!.decisions.push(decision("o1", "reserved", 3)),
  ],
  [
    "a confirmed order was released",
    "decision",
    ({ observed }) => void observed.ledger[4]!.closings.push({ order_id: "o1", outcome: "released" }),
  ],
  ["a cancelled order still holds its stock", "decision", ({ observed }) => void observed.ledger[4]!.closings.pop()],
  [
    "a cancelled order was released twice",
    "decision",
    ({ observed }) => void observed.ledger[6]!.closings.push({ order_id: "o2", outcome: "released" }),
  ],
  [
    "other stock was reserved than was ordered",
    "decision",
    ({ observed }) => void observed.ledger[1]!.decisions.splice(0, 1, decision("o1", "reserved", 2)),
  ],
  [
    "stock was decided for an order that does not exist",
    "orphan",
    ({ observed }) => void observed.ledger[3]!.decisions.push(decision("o9", "void", 1)),
  ],
  [
    "an event was never published",
    "outbox",
    ({ observed }) => void Object.assign(observed.outboxes, { "orders.orders": 1 }),
  ],
];

describe("the checker", () => {
  test("finds no problem in a correct run", () => {
    const { history, observed } = goodStory();
    expect(check(history, observed)).toEqual([]);
  });

  test.each(damages)("finds that %s: %s", (_what, kind, damage) => {
    const { history, observed } = goodStory();
    damage({ history, observed });
    expect(check(history, observed).map((problem) => problem.kind)).toContain(kind);
  });

  test("accepts an adjustment whose answer was lost, executed or not", () => {
    const { history, observed } = goodStory();
    history.adjustments.push({ productId: "tea", requestId: "a2", delta: 4, outcome: "unknown" });
    expect(check(history, observed)).toEqual([]);
  });
});
