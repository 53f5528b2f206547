import { create, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import { StockRejectedSchema, StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { type OrderConfirmed, OrderConfirmedSchema } from "@shop/gen/shop/orders/v1/events_pb";
import type { PendingEvent } from "@shop/messaging";
import { silentLog } from "@shop/runtime/testing";
import { describe, expect, test, vi } from "vitest";
import { placedEvent, placedType } from "../adapters/proto/events.ts";
import { createFollowStock } from "../application/follow-stock.ts";
import type { Order } from "../domain/order.ts";
import { askForDecisions } from "../jobs/ask-for-decisions.ts";
import { completeDecisions } from "../jobs/complete-decisions.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { stockRejected } from "./stock-rejected.ts";
import { stockReserved } from "./stock-reserved.ts";

async function openEffects() {
  const test = await openTestOrders();
  const confirmed: OrderConfirmed[] = [];
  const followWith = (changed: Partial<Parameters<typeof createFollowStock>[0]> = {}) =>
    createFollowStock({
      ...test,
      publish: async (events) => void confirmed.push(...messagesOf(events)),
      log: silentLog,
      ...changed,
    });
  const followStock = followWith();
  const [reserve, reject] = [stockReserved({ followStock }), stockRejected({ followStock })];
  return {
    ...test,
    followStock,
    followWith,
    /** The OrderConfirmed that were published, once there are `count` of them and no decision is left. */
    told: async (count: number) =>
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
      return { status: document.status, moves: document.history.map(({ status }) => status) };
    },
  };
}

/** Events as they are published, those that are packed together one by one. */
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

test("an answer to a repetition of OrderPlaced does not say that the first one was published", async () => {
  const { documents, place, reserve } = await openEffects();
  const order = await place();
  const repetition = placedEvent(order, 7).id;
  await reserve([create(StockReservedSchema, { orderId: order.orderId, placedEventId: repetition })]);
  expect((await documents.findOne({ _id: order.orderId }))?.outbox.map(({ id }) => id)).toEqual([
    placedEvent(order).id,
  ]);
});

test("an event of a decision holds what was ordered, whether this process placed the order or another one", async () => {
  const { place, recent, reserved, told } = await openEffects();
  const orders = [await place(), await place(), await place()];
  recent.take([orders[1]!.orderId]);
  await reserved(...orders);
  const events = await told(orders.length);
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

test("an order that was changed while it was pending is decided all the same, and its event names the version that it became", async () => {
  const { documents, place, recent, reserved, told, stateOf } = await openEffects();
  const order = await place();
  const { history } = (await documents.findOne({ _id: order.orderId }))!;
  const change = { ...history[0]!, time: new Date(), reason: "another address" };
  await documents.updateOne({ _id: order.orderId }, { $push: { history: change }, $inc: { version: 1 } });
  recent.take([order.orderId]);
  await reserved(order);
  expect(await stateOf(order)).toEqual({ status: "confirmed", moves: ["pending", "pending", "confirmed"] });
  expect((await documents.findOne({ _id: order.orderId }))!.version).toBe(3);
  expect(await told(1)).toMatchObject([{ orderId: order.orderId, version: 3 }]);
});

test("orders that are decided by an event and by a call at once are told as their histories say", async () => {
  const { documents, place, followWith, decisionDocuments } = await openEffects();
  const published: OrderConfirmed[] = [];
  const publish = async (events: readonly PendingEvent[]) => void published.push(...messagesOf(events));
  const deciders = [1, 2, 3].map((second) => followWith({ publish, clock: () => new Date(second * 1_000) }));
  const orders = await Promise.all(Array.from({ length: 5 }, () => place()));
  const parts = [orders.slice(0, 3), orders.slice(1, 4), orders];
  await Promise.all(deciders.map((followStock, index) => followStock.confirm(parts[index]!)));
  await vi.waitFor(async () => expect(await decisionDocuments.countDocuments()).toBe(0));
  const told = published.map(({ orderId, time }) => [orderId, timestampDate(time!)] as const);
  const histories = await documents.find().sort({ _id: 1 }).toArray();
  expect(told.toSorted()).toEqual(histories.map(({ _id, history }) => [_id, history[1]!.time]));
});

describe("a decision is completed that was left behind", () => {
  const move = { status: "confirmed", time: new Date(), actor: "inventory", reason: "", traceId: "" } as const;

  async function leave() {
    const test = await openEffects();
    const { orders, place, decisions, decisionDocuments } = test;
    const [left, cancelled] = [await place(), await place()];
    await orders.move(cancelled, { ...move, status: "cancelled" }, []);
    const orderIds = [left.orderId, cancelled.orderId];
    const [decision] = await decisions.insert([{ orderIds, move, publishedTypes: [placedType] }]);
    return {
      ...test,
      left,
      cancelled,
      decision: decision!,
      sweep: () => completeDecisions({ ...test, afterMs: -1_000, log: silentLog }).run(new AbortController().signal),
      async expectCompleted() {
        expect(await decisionDocuments.countDocuments()).toBe(0);
        expect((await test.stateOf(left)).moves).toEqual(["pending", "confirmed"]);
        expect((await test.stateOf(cancelled)).moves).toEqual(["pending", "cancelled"]);
      },
    };
  }

  test("before it changed its orders: of those that it changes each is told, of one that was cancelled nothing", async () => {
    const { left, sweep, told, expectCompleted } = await leave();
    await sweep();
    expect((await told(1)).map(({ orderId }) => orderId)).toEqual([left.orderId]);
    await expectCompleted();
  });

  test("after it changed its orders, and they changed again", async () => {
    const { left, decision, decisions, orders, sweep, told, expectCompleted, stateOf } = await leave();
    await decisions.apply(decision);
    await sweep();
    expect((await told(1)).map(({ orderId, version }) => [orderId, version])).toEqual([[left.orderId, 2]]);
    await expectCompleted();
    await orders.move((await orders.findById(left.orderId))!, { ...move, status: "shipped" }, []);
    const [again] = await decisions.insert([decision]);
    await sweep();
    expect((await told(2)).map(({ orderId, version }) => [orderId, version])).toEqual([
      [left.orderId, 2],
      [left.orderId, 2],
    ]);
    expect([again!.orderIds, (await stateOf(left)).status]).toEqual([decision.orderIds, "shipped"]);
  });

  test("while the bus is away it stays, with its event", async () => {
    const { left, decisions, followWith, sweep, told, decisionDocuments, expectCompleted } = await leave();
    const followStock = followWith({ publish: () => Promise.reject(new Error("no bus")) });
    const job = completeDecisions({ decisions, followStock, afterMs: -1_000, log: silentLog });
    await expect(job.run(new AbortController().signal)).rejects.toThrow("no bus");
    await followStock.confirm([left]);
    expect(await decisionDocuments.countDocuments()).toBe(2);
    await sweep();
    expect((await told(1)).map(({ orderId }) => orderId)).toEqual([left.orderId]);
    await expectCompleted();
  });

  test("by another process that died then: the one that hung meanwhile tells of it", async () => {
    const { place, decisions, followWith, told, stateOf } = await openEffects();
    const order = await place();
    const followStock = followWith({
      decisions: {
        ...decisions,
        async apply(decision) {
          await decisions.apply(decision);
          return await decisions.apply(decision);
        },
      },
    });
    await followStock.confirm([order]);
    expect((await told(1)).map(({ orderId }) => orderId)).toEqual([order.orderId]);
    expect((await stateOf(order)).moves).toEqual(["pending", "confirmed"]);
  });
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
