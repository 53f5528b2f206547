import { create } from "@bufbuild/protobuf";
import { StockRejectedSchema, StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { silentLog } from "@shop/platform/testing";
import { expect, test } from "vitest";
import type { Order } from "../domain/order.ts";
import { createFollowStock } from "../follow-stock.ts";
import { askForDecisions } from "../jobs/ask-for-decisions.ts";
import { openTestOrders } from "../testing.ts";
import { stockRejected } from "./stock-rejected.ts";
import { stockReserved } from "./stock-reserved.ts";

async function openEffects() {
  const test = await openTestOrders();
  const followStock = createFollowStock(test);
  const [reserve, reject] = [stockReserved({ followStock }), stockRejected({ followStock })];
  return {
    ...test,
    followStock,
    reserved: (...orders: Order[]) => reserve(orders.map(({ orderId }) => create(StockReservedSchema, { orderId }))),
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

test("an order that is decided has nothing left to tell", async () => {
  const { documents, place, reserved } = await openEffects();
  const order = await place();
  expect((await documents.findOne({ _id: order.orderId }))?.outbox).toHaveLength(1);
  await reserved(order);
  expect((await documents.findOne({ _id: order.orderId }))?.outbox).toEqual([]);
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
