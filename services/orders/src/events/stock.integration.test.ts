import { create, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import { StockRejectedSchema, StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { type OrderConfirmed, OrderConfirmedSchema } from "@shop/gen/shop/orders/v1/events_pb";
import type { PendingEvent } from "@shop/messaging";
import { silentLog } from "@shop/runtime/testing";
import { describe, expect, test, vi } from "vitest";
import { placedEvent, placedType } from "../adapters/proto/events.ts";
import { createStockDecisions } from "../application/stock-decisions.ts";
import type { Order } from "../domain/order.ts";
import { completeDecisions } from "../jobs/complete-decisions.ts";
import { reconcileDecisions } from "../jobs/reconcile-decisions.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { stockRejected } from "./stock-rejected.ts";
import { stockReserved } from "./stock-reserved.ts";

async function openHandlers() {
  const test = await openTestOrders();
  const confirmed: OrderConfirmed[] = [];
  const decisionsWith = (changed: Partial<Parameters<typeof createStockDecisions>[0]> = {}) =>
    createStockDecisions({
      ...test,
      publish: async (events) => void confirmed.push(...messagesOf(events)),
      log: silentLog,
      ...changed,
    });
  const stockDecisions = decisionsWith();
  const [reserve, reject] = [stockReserved({ stockDecisions }), stockRejected({ stockDecisions })];
  return {
    ...test,
    stockDecisions,
    decisionsWith,
    /** The published OrderConfirmed, once there are `count` of them and every decision is deleted. */
    publishedConfirmed: async (count: number) =>
      await vi.waitFor(async () => {
        expect(confirmed).toHaveLength(count);
        expect(await test.decisionDocuments.countDocuments()).toBe(0);
        return confirmed;
      }),
    reserve,
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
      return { status: document.status, transitions: document.history.map(({ status }) => status) };
    },
  };
}

/** Decodes events, those of batches one by one. */
function messagesOf(events: readonly PendingEvent[]): MessageShape<typeof OrderConfirmedSchema>[] {
  return events
    .flatMap(({ batch, payload }) =>
      batch === undefined
        ? [payload.buffer]
        : fromBinary(EventBatchSchema, payload.buffer).events.map((one) => one.payload),
    )
    .map((payload) => fromBinary(OrderConfirmedSchema, payload));
}

test("an order whose stock is reserved ten times is confirmed once", async () => {
  const { place, reserved, stateOf } = await openHandlers();
  const [order, another] = [await place(), await place()];
  await Promise.all(Array.from({ length: 10 }, () => reserved(order, another)));
  expect(await stateOf(order)).toEqual({ status: "confirmed", transitions: ["pending", "confirmed"] });
  expect(await stateOf(another)).toEqual({ status: "confirmed", transitions: ["pending", "confirmed"] });
});

test("the time from placing an order to its decision is measured, whichever process placed it", async () => {
  const decidedAfter = vi.fn();
  const { place, decisionsWith, publishedConfirmed, recent } = await openHandlers();
  const [known, placedElsewhere] = [
    await place(new Date(Date.now() - 3_000)),
    await place(new Date(Date.now() - 8_000)),
  ];
  recent.take([placedElsewhere.orderId]);
  const stockDecisions = decisionsWith({ decidedAfter });
  for (const { orderId } of [known, placedElsewhere])
    await stockReserved({ stockDecisions })([create(StockReservedSchema, { orderId })]);
  await publishedConfirmed(2);
  const seconds = decidedAfter.mock.calls.flat().toSorted((a, b) => a - b);
  expect(seconds).toHaveLength(2);
  expect(seconds[0]).toBeGreaterThanOrEqual(3);
  expect(seconds[0]).toBeLessThan(8);
  expect(seconds[1]).toBeGreaterThanOrEqual(8);
});

test("OrderPlaced leaves the outbox when inventory's event names it, which proves that it was published", async () => {
  const { documents, place, reserved, reservedByCall } = await openHandlers();
  const [byEvent, byCall] = [await place(), await place()];
  await reserved(byEvent);
  await reservedByCall(byCall);
  const idsIn = async ({ orderId }: Order) => (await documents.findOne({ _id: orderId }))?.outbox.map(({ id }) => id);
  expect(await idsIn(byEvent)).toEqual([]);
  expect(await idsIn(byCall)).toEqual([placedEvent(byCall).id]);
});

test("a decision on a repeated OrderPlaced does not prove that the first one was published", async () => {
  const { documents, place, reserve } = await openHandlers();
  const order = await place();
  const repetition = placedEvent(order, 7).id;
  await reserve([create(StockReservedSchema, { orderId: order.orderId, placedEventId: repetition })]);
  expect((await documents.findOne({ _id: order.orderId }))?.outbox.map(({ id }) => id)).toEqual([
    placedEvent(order).id,
  ]);
});

test("the event of a decision has the order's facts, whether this process or another one placed the order", async () => {
  const { place, recent, reserved, publishedConfirmed } = await openHandlers();
  const orders = [await place(), await place(), await place()];
  recent.take([orders[1]!.orderId]);
  await reserved(...orders);
  const events = await publishedConfirmed(orders.length);
  for (const { orderId, userId, items, total } of orders) {
    expect(events.find((event) => event.orderId === orderId)).toMatchObject({
      userId,
      lines: items.map(({ productId, quantity, name, unitPrice }) => ({
        productId,
        quantity,
        productName: name,
        unitPrice,
      })),
      total,
      version: 2,
    });
  }
});

test("an order that changed while it was pending is decided too, and the event has the version after the decision", async () => {
  const { documents, place, recent, reserved, publishedConfirmed, stateOf } = await openHandlers();
  const order = await place();
  const { history } = (await documents.findOne({ _id: order.orderId }))!;
  const change = { ...history[0]!, time: new Date(), reason: "another address" };
  await documents.updateOne({ _id: order.orderId }, { $push: { history: change }, $inc: { version: 1 } });
  recent.take([order.orderId]);
  await reserved(order);
  expect(await stateOf(order)).toEqual({ status: "confirmed", transitions: ["pending", "pending", "confirmed"] });
  expect((await documents.findOne({ _id: order.orderId }))!.version).toBe(3);
  expect(await publishedConfirmed(1)).toMatchObject([{ orderId: order.orderId, version: 3 }]);
});

test("orders that are decided by an event and a call concurrently get one event each, which agrees with the history", async () => {
  const { documents, place, decisionsWith, decisionDocuments } = await openHandlers();
  const published: OrderConfirmed[] = [];
  const publish = async (events: readonly PendingEvent[]) => void published.push(...messagesOf(events));
  const deciders = [1, 2, 3].map((second) => decisionsWith({ publish, clock: () => new Date(second * 1_000) }));
  const orders = await Promise.all(Array.from({ length: 5 }, () => place()));
  const parts = [orders.slice(0, 3), orders.slice(1, 4), orders];
  await Promise.all(deciders.map((stockDecisions, index) => stockDecisions.confirm(parts[index]!)));
  await vi.waitFor(async () => expect(await decisionDocuments.countDocuments()).toBe(0));
  const events = published.map(({ orderId, time }) => [orderId, timestampDate(time!)] as const);
  const histories = await documents.find().sort({ _id: 1 }).toArray();
  expect(events.toSorted()).toEqual(histories.map(({ _id, history }) => [_id, history[1]!.time]));
});

describe("an unfinished decision is completed", () => {
  const transition = { status: "confirmed", time: new Date(), actor: "inventory", reason: "", traceId: "" } as const;

  async function openUnfinished() {
    const test = await openHandlers();
    const { orders, place, decisions, decisionDocuments } = test;
    const [pending, cancelled] = [await place(), await place()];
    await orders.transition(cancelled, { ...transition, status: "cancelled" }, []);
    const orderIds = [pending.orderId, cancelled.orderId];
    const [decision] = await decisions.insert([{ orderIds, transition, publishedTypes: [placedType] }]);
    return {
      ...test,
      pending,
      cancelled,
      decision: decision!,
      sweep: () => completeDecisions({ ...test, afterMs: -1_000, log: silentLog }).run(new AbortController().signal),
      async expectCompleted() {
        expect(await decisionDocuments.countDocuments()).toBe(0);
        expect((await test.stateOf(pending)).transitions).toEqual(["pending", "confirmed"]);
        expect((await test.stateOf(cancelled)).transitions).toEqual(["pending", "cancelled"]);
      },
    };
  }

  test("before its orders changed: an event is published for each order that it changes, and none for a cancelled one", async () => {
    const { pending, sweep, publishedConfirmed, expectCompleted } = await openUnfinished();
    await sweep();
    expect((await publishedConfirmed(1)).map(({ orderId }) => orderId)).toEqual([pending.orderId]);
    await expectCompleted();
  });

  test("after its orders changed, even if they changed again", async () => {
    const { pending, decision, decisions, orders, sweep, publishedConfirmed, expectCompleted, stateOf } =
      await openUnfinished();
    await decisions.apply(decision);
    await sweep();
    expect((await publishedConfirmed(1)).map(({ orderId, version }) => [orderId, version])).toEqual([
      [pending.orderId, 2],
    ]);
    await expectCompleted();
    await orders.transition((await orders.findById(pending.orderId))!, { ...transition, status: "shipped" }, []);
    const [again] = await decisions.insert([decision]);
    await sweep();
    expect((await publishedConfirmed(2)).map(({ orderId, version }) => [orderId, version])).toEqual([
      [pending.orderId, 2],
      [pending.orderId, 2],
    ]);
    expect([again!.orderIds, (await stateOf(pending)).status]).toEqual([decision.orderIds, "shipped"]);
  });

  test("after an outage of the bus, during which it is kept", async () => {
    const { pending, decisions, decisionsWith, sweep, publishedConfirmed, decisionDocuments, expectCompleted } =
      await openUnfinished();
    const stockDecisions = decisionsWith({ publish: () => Promise.reject(new Error("no bus")) });
    const job = completeDecisions({ decisions, stockDecisions, afterMs: -1_000, log: silentLog });
    await expect(job.run(new AbortController().signal)).rejects.toThrow("no bus");
    await stockDecisions.confirm([pending]);
    expect(await decisionDocuments.countDocuments()).toBe(2);
    await sweep();
    expect((await publishedConfirmed(1)).map(({ orderId }) => orderId)).toEqual([pending.orderId]);
    await expectCompleted();
  });

  test("by a process that hung while another one applied the decision and died", async () => {
    const { place, decisions, decisionsWith, publishedConfirmed, stateOf } = await openHandlers();
    const order = await place();
    const stockDecisions = decisionsWith({
      decisions: {
        ...decisions,
        async apply(decision) {
          await decisions.apply(decision);
          return await decisions.apply(decision);
        },
      },
    });
    await stockDecisions.confirm([order]);
    expect((await publishedConfirmed(1)).map(({ orderId }) => orderId)).toEqual([order.orderId]);
    expect((await stateOf(order)).transitions).toEqual(["pending", "confirmed"]);
  });
});

test("a rejected order has inventory's reason", async () => {
  const { orders, place, rejected } = await openHandlers();
  const order = await place();
  await rejected(order, "only 0 left");
  expect(await orders.findById(order.orderId)).toMatchObject({ status: "rejected", statusReason: "only 0 left" });
});

test("a cancelled order stays cancelled when inventory's decision arrives late", async () => {
  const { orders, place, reserved, stateOf } = await openHandlers();
  const order = await place();
  const cancel = { status: "cancelled", time: new Date(), actor: "user", reason: "", traceId: "" } as const;
  expect(await orders.transition(order, cancel, [])).toBeDefined();
  await reserved(order);
  expect(await stateOf(order)).toEqual({ status: "cancelled", transitions: ["pending", "cancelled"] });
});

test("one of several concurrent transitions from the same version succeeds", async () => {
  const { orders, place } = await openHandlers();
  const order = await place();
  const cancel = { status: "cancelled", time: new Date(), actor: "user", reason: "", traceId: "" } as const;
  const results = await Promise.all(Array.from({ length: 5 }, () => orders.transition(order, cancel, [])));
  expect(results.filter((result) => result !== undefined)).toHaveLength(1);
});

test("orders that no event has decided in time are decided by a call, oldest first, and younger ones are left alone", async () => {
  const { orders, place, stateOf, clock, stockDecisions } = await openHandlers();
  const [late, later, fresh] = [await place(new Date(0)), await place(new Date(1)), await place()];
  const called: string[] = [];
  const outcomes = { [late.orderId]: "reserved", [later.orderId]: "refused" } as const;
  const job = reconcileDecisions({
    orders,
    reservations: {
      async decide(waiting) {
        called.push(...waiting.map(({ orderId }) => orderId));
        return waiting.map(({ orderId }) => ({ orderId, outcome: outcomes[orderId]!, reason: "only 0 left" }));
      },
    },
    stockDecisions,
    clock,
    log: silentLog,
  });
  await job.run(new AbortController().signal);
  await job.run(new AbortController().signal);
  expect(called).toEqual([late.orderId, later.orderId]);
  expect((await stateOf(late)).status).toBe("confirmed");
  expect(await orders.findById(later.orderId)).toMatchObject({ status: "rejected", statusReason: "only 0 left" });
  expect((await stateOf(fresh)).status).toBe("pending");
});
