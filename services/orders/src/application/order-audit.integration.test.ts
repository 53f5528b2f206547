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
import { createOrderAudit, type OrderAuditPosition } from "./order-audit.ts";
import { transitionOrder } from "./transition-order.ts";

type World = Awaited<ReturnType<typeof openAudit>>;
interface Reservation {
  orderId: string;
  outcome: ReservationOutcome;
  lines?: { productId: string; quantity: number }[];
  released?: boolean;
  shipped?: boolean;
  returned?: boolean;
}
type ReservationState = Omit<Reservation, "orderId">;
const { RESERVED, REFUSED } = ReservationOutcome;

/** An audit over a test database and a fake inventory, which returns the reservations in `stock`. */
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
      // One reservation a page, so that the tests page.
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

  /** Places an order, takes it through the statuses of `path`, and sets its reservation. */
  async function orderWith(path: readonly OrderStatus[], reservation?: ReservationState): Promise<Order> {
    const order = await shop.place();
    for (const status of path) await moveTo(order, status);
    if (reservation !== undefined) reserve(order, reservation);
    return order;
  }
  const moveTo = (order: Order, status: OrderStatus) =>
    transitionOrder({ ...shop, clock }, order.orderId, () => ({ status, actor: "test", reason: "" }));
  function reserve({ orderId, items }: Order, state: ReservationState): void {
    const lines = items.map(({ productId, quantity }) => ({ productId, quantity }));
    stock.set(orderId, { orderId, lines: state.outcome === RESERVED ? lines : [], ...state });
  }

  return {
    ...shop,
    stock,
    audit,
    orderWith,
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
      let place: OrderAuditPosition | undefined;
      do {
        const part = await audit.part(place);
        found.push(...part.findings);
        place = part.next && (JSON.parse(JSON.stringify(part.next)) as OrderAuditPosition);
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
    sweep: () => sweepNow(shop.outbox),
    dump: async () =>
      JSON.stringify(await shop.documents.find().sort({ _id: 1 }).toArray(), (_, value) =>
        typeof value === "bigint" ? String(value) : value,
      ),
  };
}

/** Publishes all events of an outbox, of any age. */
async function sweepNow(outbox: Outbox<OrderDocument>): Promise<void> {
  const lease = { acquire: async () => true, release: async () => {} };
  await outbox.sweeper({ lease, afterMs: -1_000 }).run(new AbortController().signal);
}

interface Damage {
  readonly says: string;
  readonly invariant: (typeof orderInvariants)[number];
  /** The event type that the repair publishes; "nothing" if it changes the order itself. Absent when the finding is not repairable. */
  readonly repeats?: string;
  /** Changes the reservation as inventory would on that event. */
  consume?(world: World, subject: string): void;
  plant(world: World): Promise<string>;
}

const idOf = async (order: Promise<Order>) => (await order).orderId;
const taken =
  (step: Partial<ReservationState>) =>
  ({ stock }: World, subject: string): void => {
    stock.set(subject, { ...stock.get(subject)!, ...step });
  };

const damages: readonly Damage[] = [
  {
    says: "a status that no transition leads to",
    invariant: "ORDER_MOVES_WRONG",
    async plant({ documents, orderWith }) {
      const { orderId } = await orderWith(["confirmed", "cancelled"], { outcome: RESERVED, released: true });
      await documents.updateOne({ _id: orderId }, { $set: { "history.1.status": "rejected" } });
      return orderId;
    },
  },
  {
    says: "a version that does not count its transitions",
    invariant: "ORDER_MOVES_WRONG",
    async plant({ documents, orderWith }) {
      const { orderId } = await orderWith(["confirmed"], { outcome: RESERVED });
      await documents.updateOne({ _id: orderId }, { $inc: { version: 1 } });
      return orderId;
    },
  },
  {
    says: "a total that is not the sum of its lines",
    invariant: "ORDER_TOTAL_WRONG",
    async plant({ documents, orderWith }) {
      const { orderId } = await orderWith(["confirmed"], { outcome: RESERVED });
      await documents.updateOne({ _id: orderId }, { $set: { "items.0.quantity": 1, "total.minor_units": 99n } });
      return orderId;
    },
  },
  {
    says: "an order that is neither decided nor cancelled",
    invariant: "ORDER_STUCK_PENDING",
    repeats: "nothing",
    plant: ({ orderWith }) => idOf(orderWith([])),
  },
  {
    says: "a confirmed order without a reservation",
    invariant: "ORDER_UNRESERVED",
    repeats: "shop.orders.v1.OrderPlaced",
    consume: ({ stock }, subject) => void stock.set(subject, { orderId: subject, outcome: RESERVED }),
    async plant({ orderWith, documents }) {
      const { orderId } = await orderWith(["confirmed"]);
      await documents.updateOne({ _id: orderId }, { $set: { items: [], "total.minor_units": 0n } });
      return orderId;
    },
  },
  {
    says: "a confirmed order that inventory refused",
    invariant: "ORDER_UNRESERVED",
    plant: ({ orderWith }) => idOf(orderWith(["confirmed"], { outcome: REFUSED })),
  },
  {
    says: "a reservation of other products than were ordered",
    invariant: "ORDER_STOCK_DIFFERS",
    async plant({ orderWith, stock }) {
      const order = await orderWith(["confirmed"], { outcome: RESERVED });
      stock.set(order.orderId, { ...stock.get(order.orderId)!, lines: [{ productId: newId("product"), quantity: 1 }] });
      return order.orderId;
    },
  },
  {
    says: "stock that a cancelled order still holds",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderCancelled",
    consume: taken({ released: true }),
    plant: ({ orderWith }) => idOf(orderWith(["confirmed", "cancelled"], { outcome: RESERVED })),
  },
  {
    says: "stock that a rejected order holds",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderCancelled",
    consume: taken({ released: true }),
    plant: ({ orderWith }) => idOf(orderWith(["rejected"], { outcome: RESERVED })),
  },
  {
    says: "a shipped order whose stock is not shipped",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderShipped",
    consume: taken({ shipped: true }),
    plant: ({ orderWith }) => idOf(orderWith(["confirmed", "shipped", "delivered"], { outcome: RESERVED })),
  },
  {
    says: "a returned order whose stock is not returned",
    invariant: "ORDER_RESERVATION_OPEN",
    repeats: "shop.orders.v1.OrderReturned",
    consume: taken({ returned: true }),
    plant: ({ orderWith }) =>
      idOf(orderWith(["confirmed", "shipped", "delivered", "returned"], { outcome: RESERVED, shipped: true })),
  },
  {
    says: "a confirmed order whose stock was released",
    invariant: "ORDER_STOCK_CONTRADICTS",
    plant: ({ orderWith }) => idOf(orderWith(["confirmed"], { outcome: RESERVED, released: true })),
  },
  {
    says: "a reservation for an order that does not exist",
    invariant: "RESERVATION_WITHOUT_ORDER",
    repeats: "shop.orders.v1.OrderCancelled",
    consume: taken({ released: true }),
    async plant({ stock }) {
      const orderId = newId("order");
      stock.set(orderId, { orderId, outcome: RESERVED });
      return orderId;
    },
  },
  {
    says: "stock that was shipped for an order that does not exist",
    invariant: "RESERVATION_WITHOUT_ORDER",
    async plant({ stock }) {
      const orderId = newId("order");
      stock.set(orderId, { orderId, outcome: RESERVED, shipped: true });
      return orderId;
    },
  },
  {
    says: "an event that is not published",
    invariant: "ORDER_EVENT_UNPUBLISHED",
    repeats: "nothing",
    async plant({ orderWith, documents, sweep }) {
      const order = await orderWith(["confirmed"], { outcome: RESERVED });
      await sweep();
      await documents.updateOne({ _id: order.orderId }, { $set: { outbox: [placedEvent(order, 7)] } });
      return order.orderId;
    },
  },
  {
    says: "a decision whose events are not published",
    invariant: "ORDER_EVENT_UNPUBLISHED",
    repeats: "nothing",
    async plant({ place, reserve, decisions, sweep }) {
      const order = await place();
      reserve(order, { outcome: RESERVED });
      const transition = {
        status: "confirmed",
        time: new Date(),
        actor: "inventory",
        reason: "",
        traceId: "",
      } as const;
      const [decision] = await decisions.insert([{ orderIds: [order.orderId], transition, publishedTypes: [] }]);
      await decisions.apply(decision!);
      await sweep();
      return decision!.decisionId;
    },
  },
];

test("every invariant is tested by a planted damage", () => {
  expect([...new Set(damages.map(({ invariant }) => invariant))].sort()).toEqual([...orderInvariants].sort());
});

test.each(damages)("$says is found by its id, and repaired once if it is repairable", async (damage) => {
  const world = await openAudit();
  await world.orderWith(["confirmed"], { outcome: RESERVED });
  await world.orderWith(["rejected"], { outcome: REFUSED });
  await world.orderWith(["confirmed", "cancelled"], { outcome: RESERVED, released: true });
  await world.orderWith(["cancelled"]);
  const subject = await damage.plant(world);
  if (damage.invariant !== "ORDER_EVENT_UNPUBLISHED") await world.sweep();
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
  damage.consume?.(world, subject);
  expect(await world.findings()).toEqual([]);
  await world.sweep();
  const repaired = await world.dump();
  expect(await world.repair(found)).toEqual([SOUND]);
  expect(await world.dump()).toBe(repaired);
  expect(world.repeated).toHaveLength(damage.repeats === "nothing" ? 0 : 1);
});

test("the repair of an overdue order cancels it by a transition", async () => {
  const { orderWith, orders, later, repair, findings } = await openAudit();
  const { orderId } = await orderWith([]);
  later();
  await repair(await findings());
  expect(await orders.findById(orderId)).toMatchObject({ status: "cancelled", version: 2 });
});

test("a recent change of an order is no finding, whatever its reservation says", async () => {
  const { orderWith, findings } = await openAudit();
  await orderWith([]);
  await orderWith(["confirmed"]);
  await orderWith(["confirmed", "cancelled"], { outcome: RESERVED });
  await orderWith(["confirmed", "shipped"], { outcome: RESERVED });
  expect(await findings()).toEqual([]);
});

test("an order that is cancelled and released between two reads of an audit is no finding", async () => {
  const { orderWith, moveTo, reserve, onAnswer, sweep, later, findings } = await openAudit();
  const order = await orderWith(["confirmed"], { outcome: RESERVED });
  await sweep();
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

test("an audit checks all orders, over as many parts as needed", async () => {
  const { orderWith, documents, sweep, later, audit, findings } = await openAudit();
  const orders = await Promise.all(Array.from({ length: 250 }, () => orderWith(["confirmed"], { outcome: RESERVED })));
  const last = orders
    .map(({ orderId }) => orderId)
    .sort()
    .at(-1)!;
  await documents.updateOne({ _id: last }, { $inc: { version: 1 } });
  await sweep();
  later();
  expect((await audit.part(undefined)).checked.orders).toBeLessThan(250);
  expect(await findings()).toEqual([expect.objectContaining({ invariant: "ORDER_MOVES_WRONG", subject: last })]);
}, 60_000);

test("an audit fails, and reports nothing, while inventory can't return reservations", async () => {
  const { orderWith, onAnswer, later, findings } = await openAudit();
  await orderWith(["confirmed"]);
  later();
  onAnswer(() => Promise.reject(new TypeError("broken")));
  await expect(findings()).rejects.toThrow("inventory refused to return reservations");
});
