import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { newId } from "@shop/core";
import { RepairOutcome } from "@shop/gen/shop/common/v1/audit_pb";
import { InventoryService, ReservationOutcome } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { RepairOrdersRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { Outbox } from "@shop/messaging";
import type { Finding } from "@shop/runtime";
import { contextOf, silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { createReservations } from "../adapters/clients/reservations.ts";
import { createOrderAuditStore } from "../adapters/mongo/order-audit-store.ts";
import type { OrderDocument } from "../adapters/mongo/order-document.ts";
import { placedEvent } from "../adapters/proto/events.ts";
import type { Order, OrderStatus } from "../domain/order.ts";
import { orderInvariants } from "../domain/order-audit.ts";
import { repairOrders } from "../rpc/repair-orders.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { moveOrder } from "./move-order.ts";
import { createOrderAudit, type OrderPlace } from "./order-audit.ts";

type World = Awaited<ReturnType<typeof openAudit>>;
interface Reservation {
  orderId: string;
  outcome: ReservationOutcome;
  lines?: { productId: string; quantity: number }[];
  released?: boolean;
  shipped?: boolean;
  returned?: boolean;
}
type Did = Omit<Reservation, "orderId">;
const { RESERVED, REFUSED } = ReservationOutcome;

/** Orders on a database of their own, beside a stock that says what the test wants. */
async function openAudit() {
  const shop = await openTestOrders();
  const stock = new Map<string, Reservation>();
  let aheadMs = 0;
  let beforeAnswer = async () => {};
  const clock = () => new Date(Date.now() + aheadMs);
  const inventory = createRouterTransport((router) =>
    router.service(InventoryService, {
      async batchGetReservations({ orderIds }) {
        await beforeAnswer();
        return { reservations: orderIds.flatMap((orderId) => stock.get(orderId) ?? []) };
      },
      // A page for each: so paging is tried.
      listReservations({ pageToken }) {
        const reserved = [...stock.values()].filter(({ outcome }) => outcome === RESERVED);
        const at = Number(pageToken || 0);
        return {
          orderIds: reserved.slice(at, at + 1).map(({ orderId }) => orderId),
          nextPageToken: at + 1 < reserved.length ? String(at + 1) : "",
        };
      },
    }),
  );
  const reservations = createReservations(createClient(InventoryService, inventory));
  const audit = createOrderAudit({
    store: createOrderAuditStore(shop.documents),
    reservations,
    upkeep: shop.upkeep,
    decisions: shop.decisions,
    clock,
    decisionDeadlineMs: 120_000,
  });
  const repairCall = repairOrders({ ...shop, audit, reservations, clock, log: silentLog });

  /** An order that went this way, and what the stock did for it. */
  async function orderThat(path: readonly OrderStatus[], did?: Did): Promise<Order> {
    const order = await shop.place();
    for (const status of path) await moveTo(order, status);
    if (did !== undefined) reserve(order, did);
    return order;
  }
  const moveTo = (order: Order, status: OrderStatus) =>
    moveOrder({ ...shop, clock }, order.orderId, () => ({ status, actor: "test", reason: "" }));
  function reserve({ orderId, items }: Order, did: Did): void {
    const lines = items.map(({ productId, quantity }) => ({ productId, quantity }));
    stock.set(orderId, { orderId, lines: did.outcome === RESERVED ? lines : [], ...did });
  }

  return {
    ...shop,
    stock,
    audit,
    orderThat,
    moveTo,
    reserve,
    onAnswer(act: () => Promise<void>) {
      beforeAnswer = act;
    },
    later() {
      aheadMs += 600_000;
    },
    async findings(): Promise<Finding[]> {
      const found: Finding[] = [];
      let place: OrderPlace | undefined;
      do {
        const part = await audit.part(place);
        found.push(...part.findings);
        place = part.next && (JSON.parse(JSON.stringify(part.next)) as OrderPlace);
      } while (place !== undefined);
      return found;
    },
    async repair(targets: readonly Pick<Finding, "invariant" | "subject">[], dryRun = false) {
      const request = create(RepairOrdersRequestSchema, {
        targets: targets.map(({ invariant, subject }) => ({ invariant, subject })),
        dryRun,
      });
      const admin = contextOf({ kind: "user", userId: newId("user"), roles: ["admin"] });
      const { repairs = [] } = await repairCall(request, admin);
      return repairs.map(({ outcome }) => outcome);
    },
    /** As the sweeper leaves it. */
    drained: () => sweepNow(shop.outbox),
    dump: async () =>
      JSON.stringify(await shop.documents.find().sort({ _id: 1 }).toArray(), (_, value) =>
        typeof value === "bigint" ? String(value) : value,
      ),
  };
}

/** Publishes everything that waits in an outbox, however young. */
async function sweepNow(outbox: Outbox<OrderDocument>): Promise<void> {
  const lease = { acquire: async () => true, release: async () => {} };
  await outbox.sweeper({ lease, afterMs: -1_000 }).run(new AbortController().signal);
}

interface Damage {
  readonly says: string;
  readonly invariant: (typeof orderInvariants)[number];
  /** What a repair publishes; "nothing" if it mends the order itself. Absent when there is no repair. */
  readonly repeats?: string;
  /** What comes of what the repair published, in a stock that hears it. */
  heard?(world: World, subject: string): void;
  plant(world: World): Promise<string>;
}

const idOf = async (order: Promise<Order>) => (await order).orderId;
const taken =
  (step: Partial<Did>) =>
  ({ stock }: World, subject: string): void => {
    stock.set(subject, { ...stock.get(subject)!, ...step });
  };

const damages: readonly Damage[] = [
  {
    says: "a status that no move leads to",
    invariant: "ORDER_MOVES_WRONG",
    async plant({ documents, orderThat }) {
      const { orderId } = await orderThat(["confirmed", "cancelled"], { outcome: RESERVED, released: true });
      await documents.updateOne({ _id: orderId }, { $set: { "history.1.status": "rejected" } });
      return orderId;
    },
  },
  {
    says: "a version that does not count its moves",
    invariant: "ORDER_MOVES_WRONG",
    async plant({ documents, orderThat }) {
      const { orderId } = await orderThat(["confirmed"], { outcome: RESERVED });
      await documents.updateOne({ _id: orderId }, { $inc: { version: 1 } });
      return orderId;
    },
  },
  {
    says: "a total that is not the sum of its lines",
    invariant: "ORDER_TOTAL_WRONG",
    async plant({ documents, orderThat }) {
      const { orderId } = await orderThat(["confirmed"], { outcome: RESERVED });
      await documents.updateOne({ _id: orderId }, { $set: { "items.0.quantity": 1, "total.minor_units": 99n } });
      return orderId;
    },
  },
  {
    says: "an order that nobody decides or cancels",
    invariant: "ORDER_STUCK_PENDING",
    repeats: "nothing",
    plant: ({ orderThat }) => idOf(orderThat([])),
  },
  {
    says: "an order that was confirmed without stock",
    invariant: "ORDER_UNRESERVED",
    repeats: "shop.orders.v1.OrderPlaced",
    heard: ({ stock }, subject) => void stock.set(subject, { orderId: subject, outcome: RESERVED }),
    async plant({ orderThat, documents }) {
      const { orderId } = await orderThat(["confirmed"]);
      await documents.updateOne({ _id: orderId }, { $set: { items: [], "total.minor_units": 0n } });
      return orderId;
    },
  },
  {
    says: "an order that was confirmed and refused",
    invariant: "ORDER_UNRESERVED",
    plant: ({ orderThat }) => idOf(orderThat(["confirmed"], { outcome: REFUSED })),
  },
  {
    says: "other stock than was ordered",
    invariant: "ORDER_STOCK_DIFFERS",
    async plant({ orderThat, stock }) {
      const order = await orderThat(["confirmed"], { outcome: RESERVED });
      stock.set(order.orderId, { ...stock.get(order.orderId)!, lines: [{ productId: newId("product"), quantity: 1 }] });
      return order.orderId;
    },
  },
  {
    says: "stock that a cancelled order still holds",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderCancelled",
    heard: taken({ released: true }),
    plant: ({ orderThat }) => idOf(orderThat(["confirmed", "cancelled"], { outcome: RESERVED })),
  },
  {
    says: "stock that a rejected order holds",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderCancelled",
    heard: taken({ released: true }),
    plant: ({ orderThat }) => idOf(orderThat(["rejected"], { outcome: RESERVED })),
  },
  {
    says: "stock of a shipped order that has not left",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderShipped",
    heard: taken({ shipped: true }),
    plant: ({ orderThat }) => idOf(orderThat(["confirmed", "shipped", "delivered"], { outcome: RESERVED })),
  },
  {
    says: "stock of a returned order that did not come back",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderReturned",
    heard: taken({ returned: true }),
    plant: ({ orderThat }) =>
      idOf(orderThat(["confirmed", "shipped", "delivered", "returned"], { outcome: RESERVED, shipped: true })),
  },
  {
    says: "a confirmed order whose stock was freed",
    invariant: "ORDER_STOCK_CONTRADICTS",
    plant: ({ orderThat }) => idOf(orderThat(["confirmed"], { outcome: RESERVED, released: true })),
  },
  {
    says: "stock of an order that is not there",
    invariant: "RESERVATION_WITHOUT_ORDER",
    repeats: "shop.orders.v1.OrderCancelled",
    heard: taken({ released: true }),
    async plant({ stock }) {
      const orderId = newId("order");
      stock.set(orderId, { orderId, outcome: RESERVED });
      return orderId;
    },
  },
  {
    says: "stock that was shipped for an order that is not there",
    invariant: "RESERVATION_WITHOUT_ORDER",
    async plant({ stock }) {
      const orderId = newId("order");
      stock.set(orderId, { orderId, outcome: RESERVED, shipped: true });
      return orderId;
    },
  },
  {
    says: "an event that does not leave",
    invariant: "ORDER_EVENT_UNPUBLISHED",
    repeats: "nothing",
    async plant({ orderThat, documents, drained }) {
      const order = await orderThat(["confirmed"], { outcome: RESERVED });
      await drained();
      await documents.updateOne({ _id: order.orderId }, { $set: { outbox: [placedEvent(order, 7)] } });
      return order.orderId;
    },
  },
  {
    says: "a decision whose events do not leave",
    invariant: "ORDER_EVENT_UNPUBLISHED",
    repeats: "nothing",
    async plant({ place, reserve, decisions, drained }) {
      const order = await place();
      reserve(order, { outcome: RESERVED });
      const move = { status: "confirmed", time: new Date(), actor: "inventory", reason: "", traceId: "" } as const;
      const [decision] = await decisions.insert([{ orderIds: [order.orderId], move, publishedTypes: [] }]);
      await decisions.apply(decision!);
      await drained();
      return decision!.decisionId;
    },
  },
];

test("there is a planted damage for every invariant", () => {
  expect([...new Set(damages.map(({ invariant }) => invariant))].sort()).toEqual([...orderInvariants].sort());
});

test.each(damages)("$says is found by its id, and mended if it can be, once", async (damage) => {
  const world = await openAudit();
  await world.orderThat(["confirmed"], { outcome: RESERVED });
  await world.orderThat(["rejected"], { outcome: REFUSED });
  await world.orderThat(["confirmed", "cancelled"], { outcome: RESERVED, released: true });
  await world.orderThat(["cancelled"]);
  const subject = await damage.plant(world);
  if (damage.invariant !== "ORDER_EVENT_UNPUBLISHED") await world.drained();
  world.later();
  const found = await world.findings();
  const isRepairable = damage.repeats !== undefined;
  expect(found).toEqual([expect.objectContaining({ invariant: damage.invariant, subject, repairable: isRepairable })]);

  const { REPAIRED, SOUND, NOT_REPAIRABLE, WOULD_REPAIR } = RepairOutcome;
  const damaged = await world.dump();
  if (!isRepairable) {
    expect(await world.repair(found)).toEqual([NOT_REPAIRABLE]);
    expect([await world.dump(), world.repeated]).toEqual([damaged, []]);
    return;
  }
  expect(await world.repair(found, true)).toEqual([WOULD_REPAIR]);
  expect([await world.dump(), world.repeated]).toEqual([damaged, []]);

  expect(await world.repair(found)).toEqual([REPAIRED]);
  expect(world.repeated.map(({ type }) => type)).toEqual(damage.repeats === "nothing" ? [] : [damage.repeats]);
  damage.heard?.(world, subject);
  expect(await world.findings()).toEqual([]);
  await world.drained();
  const mended = await world.dump();
  expect(await world.repair(found)).toEqual([SOUND]);
  expect(await world.dump()).toBe(mended);
  expect(world.repeated).toHaveLength(damage.repeats === "nothing" ? 0 : 1);
});

test("an order that nobody decided in time is cancelled by a repair, in the ordinary way", async () => {
  const { orderThat, orders, later, repair, findings } = await openAudit();
  const { orderId } = await orderThat([]);
  later();
  await repair(await findings());
  expect(await orders.findById(orderId)).toMatchObject({ status: "cancelled", version: 2 });
});

test("what has just happened to an order is no finding, whatever the stock says", async () => {
  const { orderThat, findings } = await openAudit();
  await orderThat([]);
  await orderThat(["confirmed"]);
  await orderThat(["confirmed", "cancelled"], { outcome: RESERVED });
  await orderThat(["confirmed", "shipped"], { outcome: RESERVED });
  expect(await findings()).toEqual([]);
});

test("an order that is cancelled, and freed, between two reads of an audit is no finding", async () => {
  const { orderThat, moveTo, reserve, onAnswer, drained, later, findings } = await openAudit();
  const order = await orderThat(["confirmed"], { outcome: RESERVED });
  await drained();
  later();
  let isFirst = true;
  onAnswer(async () => {
    if (!isFirst) return;
    isFirst = false;
    await moveTo(order, "cancelled");
    reserve(order, { outcome: RESERVED, released: true });
  });
  expect(await findings()).toEqual([]);
});

test("an audit goes through all orders, however many parts that takes", async () => {
  const { orderThat, documents, drained, later, audit, findings } = await openAudit();
  const orders = await Promise.all(Array.from({ length: 250 }, () => orderThat(["confirmed"], { outcome: RESERVED })));
  const last = orders
    .map(({ orderId }) => orderId)
    .sort()
    .at(-1)!;
  await documents.updateOne({ _id: last }, { $inc: { version: 1 } });
  await drained();
  later();
  expect((await audit.part(undefined)).checked.orders).toBeLessThan(250);
  expect(await findings()).toEqual([expect.objectContaining({ invariant: "ORDER_MOVES_WRONG", subject: last })]);
}, 60_000);

test("while the stock can't be asked an audit says so, and reports nothing", async () => {
  const { orderThat, onAnswer, later, findings } = await openAudit();
  await orderThat(["confirmed"]);
  later();
  onAnswer(() => Promise.reject(new TypeError("broken")));
  await expect(findings()).rejects.toThrow("inventory refused to tell its reservations");
});
