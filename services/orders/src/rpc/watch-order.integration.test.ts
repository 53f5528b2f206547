import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import {
  OrderStatus as StatusOnTheWire,
  WatchOrderRequestSchema,
  type WatchOrderResponse,
} from "@shop/gen/shop/orders/v1/order_service_pb";
import { type Bus, openChangeNotices } from "@shop/messaging";
import { createChanges, createWatches } from "@shop/runtime";
import { contextOf, nothingRevoked, openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test } from "vitest";
import type { Order, OrderStatus } from "../domain/order.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { watchOrder } from "./watch-order.ts";

const { PENDING, CONFIRMED, SHIPPED, DELIVERED, RETURNED, CANCELLED, REJECTED } = StatusOnTheWire;

async function openWatching() {
  const name = newId("service");
  const openNotices = (bus: Bus) => {
    const notices = openChangeNotices(bus, name);
    onTestFinished(notices.close);
    return notices;
  };
  // Changes are made by a process without watches.
  const opened = await openTestOrders(openNotices(await openTestBus()).announce);
  const { versionsOf } = opened.orders;
  const stop = new AbortController();
  const bus = await openTestBus();
  const follow = () => createChanges({ notices: openNotices(bus), versionsOf, log: silentLog });

  function replica({ keepAliveMs = 60_000 } = {}) {
    const watch = watchOrder({
      orders: opened.orders,
      watch: createWatches({
        changes: follow(),
        revocations: nothingRevoked,
        max: 100,
        maxPerCaller: 100,
        maxPerNetwork: 0,
        stopping: stop.signal,
        keepAliveMs,
      }),
    });
    /** Watches an order, and skips heartbeats. */
    return async function* (order: Order, afterVersion = 0, caller = { userId: order.userId, roles: ["customer"] }) {
      const gone = new AbortController();
      onTestFinished(() => gone.abort());
      const request = create(WatchOrderRequestSchema, { orderId: order.orderId, afterVersion });
      const answers = watch(request, contextOf({ kind: "user", ...caller }, {}, gone.signal));
      for await (const answer of answers as AsyncIterable<WatchOrderResponse>) if (answer.order) yield answer;
    };
  }

  async function transition(orderId: string, ...statuses: OrderStatus[]) {
    for (const status of statuses) {
      const read = (await opened.orders.findById(orderId))!;
      await opened.orders.transition(
        read,
        { status, time: new Date(), actor: "test", reason: status, traceId: "" },
        [],
      );
    }
  }
  return { ...opened, replica, follow, transition, stop };
}

const versionAndStatus = ({ order, event }: WatchOrderResponse) => {
  expect({ status: order!.status, version: order!.version, statusReason: order!.statusReason }).toEqual({
    status: event!.status,
    version: event!.version,
    statusReason: event!.reason,
  });
  return [order!.version, order!.status];
};

async function all(answers: AsyncIterable<WatchOrderResponse>) {
  return (await Array.fromAsync(answers)).map(versionAndStatus);
}

test("a watch sends the current status, then each transition by any replica, and ends with a final status", async () => {
  const { place, transition, replica } = await openWatching();
  const order = await place();
  const watches = [replica(), replica()].map((watch) => watch(order));
  const next = async () => Promise.all(watches.map(async (watch) => versionAndStatus((await watch.next()).value!)));

  expect(await next()).toEqual(Array(2).fill([1, PENDING]));
  const path = [
    ["confirmed", CONFIRMED],
    ["shipped", SHIPPED],
    ["delivered", DELIVERED],
    ["returned", RETURNED],
  ] as const;
  for (const [index, [status, onTheWire]] of path.entries()) {
    const responses = next();
    await transition(order.orderId, status);
    expect(await responses).toEqual(Array(2).fill([index + 2, onTheWire]));
  }
  for (const watch of watches) expect(await watch.next()).toEqual({ done: true, value: undefined });
});

test.each([
  ["rejected", REJECTED],
  ["cancelled", CANCELLED],
] as const)("a watch of an order that is %s sends its status and ends", async (status, onTheWire) => {
  const { place, transition, replica } = await openWatching();
  const order = await place();
  await transition(order.orderId, status);
  expect(await all(replica()(order))).toEqual([[2, onTheWire]]);
});

test("decisions of inventory are announced when they can be read, also by a repetition that changes nothing", async () => {
  const seen: Promise<[string, OrderStatus]>[] = [];
  const opened = await openTestOrders((orderIds) => {
    for (const id of orderIds) seen.push(opened.orders.findById(id).then((order) => [id, order!.status]));
  });
  const [one, other] = [await opened.place(), await opened.place()];
  await opened.stockDecisions.confirm([one]);
  await opened.stockDecisions.reject([{ ...other, reason: "sold out" }]);
  await opened.stockDecisions.confirm([other]);
  expect(await Promise.all(seen)).toEqual([
    [one.orderId, "confirmed"],
    [other.orderId, "rejected"],
    [other.orderId, "rejected"],
  ]);
});

test("a watch resumes after any version with exactly the remaining transitions", async () => {
  const { place, transition, replica } = await openWatching();
  const order = await place();
  await transition(order.orderId, "confirmed", "shipped", "delivered", "returned");
  const transitions = [PENDING, CONFIRMED, SHIPPED, DELIVERED, RETURNED].map((status, index) => [index + 1, status]);
  const watch = replica();
  for (let version = 1; version <= 5; version++) {
    expect(await all(watch(order, version)), `after ${version}`).toEqual(transitions.slice(version));
  }
  expect(await all(watch(order, 1_000))).toEqual([]);
});

test("a client that reconnects after every response receives each transition once", async () => {
  const { place, transition, replica } = await openWatching();
  const [watch, another] = [replica(), replica()];
  for (let round = 0; round < 10; round++) {
    const order = await place();
    const transitions = transition(order.orderId, "confirmed", "shipped", "delivered", "returned");
    const received: unknown[] = [];
    for (let version = 0; version < 5; ) {
      const answers = (version % 2 === 0 ? watch : another)(order, version);
      const { value } = await answers.next();
      await answers.return(undefined);
      const skipped = version === 0 ? Array(value!.order!.version - 1).fill("before") : [];
      received.push(...skipped, versionAndStatus(value!)[0]);
      version = value!.order!.version;
    }
    await transitions;
    // The first response has the current status; the transitions before it are not sent.
    expect(received.map((version, index) => (version === "before" ? index + 1 : version))).toEqual([1, 2, 3, 4, 5]);
  }
});

test("a watch without new transitions sends a heartbeat at once and after each quiet period", async () => {
  const { orders, follow, place } = await openWatching();
  const { userId, orderId } = await place();
  const stopping = new AbortController();
  const watch = watchOrder({
    orders,
    watch: createWatches({
      changes: follow(),
      revocations: nothingRevoked,
      max: 1,
      maxPerCaller: 1,
      maxPerNetwork: 0,
      stopping: stopping.signal,
      keepAliveMs: 100,
    }),
  });
  const request = create(WatchOrderRequestSchema, { orderId, afterVersion: 1 });
  const answers = watch(request, contextOf({ kind: "user", userId, roles: [] }))[Symbol.asyncIterator]();
  for (let n = 0; n < 3; n++) expect(await answers.next()).toEqual({ done: false, value: {} });
  stopping.abort();
  await expect(answers.next()).rejects.toMatchObject({ reason: "SERVICE_STOPPING" });
});

test("only its owner and administrators can watch an order; for others it does not exist", async () => {
  const { place, replica } = await openWatching();
  const order = await place();
  const watch = replica();
  const stranger = { userId: newId("user"), roles: ["customer"] };
  await expect(watch(order, 0, stranger).next()).rejects.toMatchObject({ reason: "ORDER_NOT_FOUND" });
  await expect(watch({ ...order, orderId: newId("order") }).next()).rejects.toMatchObject({
    reason: "ORDER_NOT_FOUND",
  });
  const asAdmin = await watch(order, 0, { ...stranger, roles: ["admin"] }).next();
  expect(asAdmin.value!.order!.orderId).toBe(order.orderId);
});
