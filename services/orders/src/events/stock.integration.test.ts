import { create } from "@bufbuild/protobuf";
import { StockRejectedSchema, StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { aggregateIdOf, batched, newId, unbatched } from "@shop/platform";
import { silentLog } from "@shop/platform/testing";
import { expect, test } from "vitest";
import type { Order } from "../domain/order.ts";
import { askForDecisions } from "../jobs/ask-for-decisions.ts";
import { toMoveDocument } from "../store/order-document.ts";
import { openTestOrders } from "../testing.ts";
import { moveEvent, placedEvent } from "../wire/events.ts";
import { stockRejected } from "./stock-rejected.ts";
import { stockReserved } from "./stock-reserved.ts";

async function openEffects() {
  const test = await openTestOrders();
  const { followStock } = test;
  const [reserve, reject] = [stockReserved({ followStock }), stockRejected({ followStock })];
  return {
    ...test,
    reserved: (...orders: Order[]) =>
      reserve(
        orders.map((order) =>
          create(StockReservedSchema, { orderId: order.orderId, placedEventId: placedEvent(order).id }),
        ),
      ),
    reservedByCall: (order: Order) => reserve([create(StockReservedSchema, { orderId: order.orderId })]),
    rejected: (order: Order, reason: string) =>
      reject([create(StockRejectedSchema, { orderId: order.orderId, reason })]),
    stateOf: async ({ orderId }: Order) => {
      const document = (await test.documents.findOne({ _id: orderId }))!;
      return { status: document.status, moves: document.history.map(({ status }) => status) };
    },
  };
}

test("an order whose stock is reserved ten times is confirmed once", async () => {
  const { place, reserved, stateOf } = await openEffects();
  const [order, another] = [await place(), await place()];
  await Promise.all(Array.from({ length: 10 }, () => reserved(order, another)));
  expect(await stateOf(order)).toEqual({ status: "confirmed", moves: ["pending", "confirmed"] });
  expect(await stateOf(another)).toEqual({ status: "confirmed", moves: ["pending", "confirmed"] });
});

test("an order leaves its OrderPlaced in the outbox until an answer names it, and so says that it was published", async () => {
  const { documents, place, reserved, reservedByCall } = await openEffects();
  const [told, untold] = [await place(), await place()];
  await reserved(told);
  await reservedByCall(untold);
  const idsIn = async ({ orderId }: Order) => (await documents.findOne({ _id: orderId }))?.outbox.map(({ id }) => id);
  expect(await idsIn(told)).toEqual([]);
  expect(await idsIn(untold)).toEqual([placedEvent(untold).id]);
});

test("of a decision that a crash left behind each order that it moves is told once, and one that was called off is not", async () => {
  const { orders, place, decisions, decisionDocuments, stateOf } = await openEffects();
  const [left, cancelled] = [await place(), await place()];
  const move = { status: "confirmed", time: new Date(), actor: "inventory", reason: "", traceId: "" } as const;
  const cancel = { ...move, status: "cancelled" } as const;
  await orders.move(cancelled, cancel, []);
  const document = {
    _id: newId("decision"),
    order_ids: [left.orderId, cancelled.orderId],
    placed_event_ids: [],
    move: toMoveDocument(move),
    outbox: batched([moveEvent(left, move), moveEvent(cancelled, move)]),
  };
  await decisionDocuments.insertOne(document);
  for (let again = 0; again < 2; again++) {
    const resumed = await decisions.resume([document]);
    expect(resumed.flatMap(({ outbox }) => unbatched(outbox)).map(aggregateIdOf)).toEqual([left.orderId]);
  }
  expect((await stateOf(left)).moves).toEqual(["pending", "confirmed"]);
  expect((await stateOf(cancelled)).moves).toEqual(["pending", "cancelled"]);

  const vain = { ...document, _id: newId("decision"), order_ids: [cancelled.orderId] };
  await decisionDocuments.insertOne(vain);
  expect(await decisions.resume([vain])).toEqual([]);
  expect(await decisionDocuments.findOne({ _id: vain._id })).toBeNull();
});

test("a rejected order says why", async () => {
  const { orders, place, rejected } = await openEffects();
  const order = await place();
  await rejected(order, "only 0 left");
  expect(await orders.findById(order.orderId)).toMatchObject({ status: "rejected", statusReason: "only 0 left" });
});

test("an order that was cancelled stays cancelled when its stock answers late", async () => {
  const { orders, place, reserved, stateOf } = await openEffects();
  const order = await place();
  const cancel = { status: "cancelled", time: new Date(), actor: "user", reason: "", traceId: "" } as const;
  expect(await orders.move(order, cancel, [])).toBeDefined();
  await reserved(order);
  expect(await stateOf(order)).toEqual({ status: "cancelled", moves: ["pending", "cancelled"] });
});

test("of two moves from the same state one is made", async () => {
  const { orders, place } = await openEffects();
  const order = await place();
  const cancel = { status: "cancelled", time: new Date(), actor: "user", reason: "", traceId: "" } as const;
  const moved = await Promise.all(Array.from({ length: 5 }, () => orders.move(order, cancel, [])));
  expect(moved.filter((result) => result !== undefined)).toHaveLength(1);
});

test("orders that events have not decided in time are asked for, and end", async () => {
  const { orders, place, stateOf, clock, followStock } = await openEffects();
  const [late, later, fresh] = [await place(new Date(0)), await place(new Date(1)), await place()];
  const asked: string[] = [];
  const outcomes = { [late.orderId]: "reserved", [later.orderId]: "refused" } as const;
  const job = askForDecisions({
    orders,
    reservations: {
      async decide(waiting) {
        asked.push(...waiting.map(({ orderId }) => orderId));
        return waiting.map(({ orderId }) => ({ orderId, outcome: outcomes[orderId]!, reason: "only 0 left" }));
      },
    },
    followStock,
    clock,
    log: silentLog,
  });
  await job.run(new AbortController().signal);
  await job.run(new AbortController().signal);
  expect(asked).toEqual([late.orderId, later.orderId]);
  expect((await stateOf(late)).status).toBe("confirmed");
  expect(await orders.findById(later.orderId)).toMatchObject({ status: "rejected", statusReason: "only 0 left" });
  expect((await stateOf(fresh)).status).toBe("pending");
});
