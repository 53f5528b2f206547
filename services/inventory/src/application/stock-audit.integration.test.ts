import { create } from "@bufbuild/protobuf";
import { type Job, newId } from "@shop/core";
import { RepairOutcome } from "@shop/gen/shop/common/v1/audit_pb";
import { RepairStockRequestSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderCancelledSchema, OrderPlacedSchema, OrderShippedSchema } from "@shop/gen/shop/orders/v1/events_pb";
import { pendingEvent } from "@shop/messaging";
import { auditJob, createAuditReports, type Finding } from "@shop/runtime";
import { contextOf, silentLog, watchPlans } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import type { LedgerEntryDocument } from "../adapters/mongo/ledger-store.ts";
import { adjust, close, decide, type EntryPlan } from "../domain/ledger.ts";
import { stockInvariants } from "../domain/stock-audit.ts";
import { orderClosed } from "../events/order-closed.ts";
import { orderPlaced } from "../events/order-placed.ts";
import { repairStock } from "../rpc/repair-stock.ts";
import { newProduct, openTestInventory } from "../testing/open-test-inventory.ts";
import { createStockAudit, type StockAuditPosition } from "./stock-audit.ts";

type World = Awaited<ReturnType<typeof openAudit>>;

async function openAudit() {
  const stock = await openTestInventory();
  let aheadMs = 0;
  const clock = () => new Date(Date.now() + aheadMs);
  const { upkeep } = stock.outbox;
  const audit = createStockAudit({ store: stock.auditStore, upkeep, clock });
  const place = orderPlaced({ ...stock, repeat: stock.outbox.publishNow });
  const [cancel, ship] = [orderClosed(stock, "released"), orderClosed(stock, "shipped")];
  const repairCall = repairStock({ ...stock, upkeep, audit, store: stock.auditStore, log: silentLog });

  /** The findings of a whole audit. Positions go through JSON, as in page tokens. */
  async function findings(): Promise<Finding[]> {
    const found: Finding[] = [];
    let position: StockAuditPosition | undefined;
    do {
      const part = await audit.part(position);
      found.push(...part.findings);
      position = part.next && (JSON.parse(JSON.stringify(part.next)) as StockAuditPosition);
    } while (position !== undefined);
    return found;
  }

  return {
    ...stock,
    audit,
    findings,
    /** Moves the audit's clock beyond the grace period. */
    later() {
      aheadMs += 600_000;
    },
    async repair(targets: readonly Pick<Finding, "invariant" | "subject">[], dryRun = false) {
      const request = create(RepairStockRequestSchema, {
        targets: targets.map(({ invariant, subject }) => ({ invariant, subject })),
        dryRun,
      });
      const admin = contextOf({ kind: "user", userId: newId("user"), roles: ["admin"] });
      const { repairs = [] } = await repairCall(request, admin);
      return repairs.map(({ outcome }) => outcome);
    },
    async order(productId: string, quantity: number) {
      const orderId = newId("order");
      await place([create(OrderPlacedSchema, { orderId, lines: [{ productId, quantity }] })], [newId("event")]);
      return orderId;
    },
    cancelled: (orderId: string) => cancel([create(OrderCancelledSchema, { orderId })]),
    shipped: (orderId: string) => ship([create(OrderShippedSchema, { orderId })]),
    async adjusted(productId: string, delta: number) {
      const plan = adjust(await stock.products.balancesOf([productId], "all"), productId, delta);
      if (plan === undefined) return;
      await stock.ledger.append({ kind: "adjusted", plan, events: [], actor: "test", time: new Date() });
    },
    /** The whole database except outboxes. */
    dump: async () =>
      JSON.stringify([
        await stock.productDocuments.find().sort({ _id: 1 }).toArray(),
        await stock.ledgerDocuments
          .find({}, { projection: { outbox: 0 } })
          .sort({ _id: 1 })
          .toArray(),
      ]),
    published: () =>
      expect
        .poll(() => stock.ledgerDocuments.countDocuments({ "outbox.0": { $exists: true } }), { timeout: 5_000 })
        .toBe(0),
    entryOf: async (key: string) => (await stock.ledgerDocuments.findOne({ keys: key }))!,
  };
}

function entry(parts: Partial<LedgerEntryDocument>): LedgerEntryDocument {
  return {
    _id: newId("entry"),
    kind: "adjusted",
    keys: [newId("key")],
    moves: [],
    decisions: [],
    closings: [],
    actor: "test",
    create_time: new Date(),
    outbox: [],
    ...parts,
  };
}

/** A product with three movements: received, adjusted, and reserved for an order. */
async function plantProduct(world: World) {
  const productId = await world.addProduct(10);
  await world.adjusted(productId, 5);
  const orderId = await world.order(productId, 2);
  return { productId, orderId };
}
type Planted = Awaited<ReturnType<typeof plantProduct>>;

/** Damages data directly, and returns the subject of the expected finding. */
interface Damage {
  readonly says: string;
  readonly invariant: (typeof stockInvariants)[number];
  readonly isRepairable?: true;
  plant(world: World, planted: Planted): Promise<string>;
}

const damages: readonly Damage[] = [
  {
    says: "a balance that is more than its movements",
    invariant: "STOCK_BALANCE_WRONG",
    isRepairable: true,
    async plant({ productDocuments }, { productId }) {
      await productDocuments.updateOne({ _id: productId }, { $inc: { "balance.on_hand": 1, "balance.reserved": -1 } });
      return productId;
    },
  },
  {
    says: "a balance that includes a missing movement",
    invariant: "STOCK_BALANCE_WRONG",
    isRepairable: true,
    async plant({ productDocuments }, { productId }) {
      await productDocuments.updateOne({ _id: productId }, { $inc: { "balance.sequence": 1 } });
      return productId;
    },
  },
  {
    says: "a balance that is behind the ledger",
    invariant: "STOCK_BALANCE_BEHIND",
    isRepairable: true,
    async plant({ productDocuments }, { productId }) {
      await productDocuments.updateOne(
        { _id: productId },
        { $inc: { "balance.sequence": -1, "balance.reserved": -2 } },
      );
      return productId;
    },
  },
  {
    says: "a deleted movement",
    invariant: "STOCK_SEQUENCE_GAP",
    async plant({ ledgerDocuments }, { productId }) {
      await ledgerDocuments.deleteOne({ keys: `${productId}:2` });
      return productId;
    },
  },
  {
    says: "more stock sold than there was",
    invariant: "STOCK_NEGATIVE",
    async plant({ ledgerDocuments, ledger }, { productId }) {
      const move = { product_id: productId, sequence: 4, on_hand_delta: -14, reserved_delta: 0 };
      await ledgerDocuments.insertOne(entry({ keys: [`${productId}:4`], moves: [move] }));
      await ledger.catchUp([productId]);
      return productId;
    },
  },
  {
    says: "an order that was decided twice",
    invariant: "LEDGER_KEYS_WRONG",
    async plant({ ledgerDocuments }, { orderId }) {
      const again = entry({ kind: "decided", decisions: [{ order_id: orderId, outcome: "void", lines: [] }] });
      await ledgerDocuments.insertOne(again);
      return again._id;
    },
  },
  {
    says: "more stock reserved than was decided",
    invariant: "LEDGER_MOVES_WRONG",
    async plant({ ledgerDocuments, entryOf }, { orderId }) {
      const { _id } = await entryOf(`${orderId}:decision`);
      await ledgerDocuments.updateOne({ _id }, { $set: { "decisions.0.lines.0.quantity": 1 } });
      return _id;
    },
  },
  {
    says: "less stock released than was reserved",
    invariant: "LEDGER_MOVES_WRONG",
    async plant({ ledgerDocuments, ledger }, { productId, orderId }) {
      const freed = entry({
        kind: "released",
        keys: [`${productId}:4`, `${orderId}:close`],
        moves: [{ product_id: productId, sequence: 4, on_hand_delta: 0, reserved_delta: -1 }],
        closings: [{ order_id: orderId, outcome: "released" }],
      });
      await ledgerDocuments.insertOne(freed);
      await ledger.catchUp([productId]);
      return freed._id;
    },
  },
  {
    says: "a closing without a reservation",
    invariant: "LEDGER_CLOSING_UNFOUNDED",
    async plant({ ledgerDocuments }) {
      const orderId = newId("order");
      const closing = entry({
        kind: "shipped",
        keys: [`${orderId}:close`],
        closings: [{ order_id: orderId, outcome: "shipped" }],
      });
      await ledgerDocuments.insertOne(closing);
      return closing._id;
    },
  },
  {
    says: "a movement of a product that does not exist",
    invariant: "STOCK_PRODUCT_MISSING",
    async plant({ ledgerDocuments }) {
      const productId = newId("product");
      const move = { product_id: productId, sequence: 1, on_hand_delta: 1, reserved_delta: 0 };
      const stray = entry({ keys: [`${productId}:1`], moves: [move] });
      await ledgerDocuments.insertOne(stray);
      return stray._id;
    },
  },
  {
    says: "an event that is not published",
    invariant: "LEDGER_EVENT_UNPUBLISHED",
    isRepairable: true,
    async plant({ ledgerDocuments, entryOf }, { orderId }) {
      const { _id } = await entryOf(`${orderId}:decision`);
      const about = { service: "inventory", aggregateId: orderId, version: 9, time: new Date() };
      await ledgerDocuments.updateOne(
        { _id },
        { $set: { outbox: [pendingEvent(OrderShippedSchema, { orderId }, about)] } },
      );
      // The payload is another service's, but the type must be one whose stream exists.
      await ledgerDocuments.updateOne({ _id }, { $set: { "outbox.0.type": "shop.inventory.v1.StockReserved" } });
      return _id;
    },
  },
];

test("every invariant is tested by a planted damage", () => {
  expect([...new Set(damages.map(({ invariant }) => invariant))].sort()).toEqual([...stockInvariants].sort());
});

test.each(damages)("$says is found by its id, and repaired once if it is repairable", async (damage) => {
  const world = await openAudit();
  const planted = await plantProduct(world);
  await plantProduct(world);
  await world.published();
  world.later();
  expect(await world.findings()).toEqual([]);

  const subject = await damage.plant(world, planted);
  world.later();
  const found = await world.findings();
  expect(found).toEqual([
    expect.objectContaining({ invariant: damage.invariant, subject, repairable: damage.isRepairable ?? false }),
  ]);

  const damaged = await world.dump();
  const { REPAIRED, SOUND, NOT_REPAIRABLE, WOULD_REPAIR } = RepairOutcome;
  if (!damage.isRepairable) {
    expect(await world.repair(found)).toEqual([NOT_REPAIRABLE]);
    expect(await world.dump()).toBe(damaged);
    return;
  }
  expect(await world.repair(found, true)).toEqual([WOULD_REPAIR]);
  expect(await world.dump()).toBe(damaged);
  expect(await world.repair(found)).toEqual([REPAIRED]);
  expect(await world.findings()).toEqual([]);
  const repaired = await world.dump();
  expect(await world.repair(found)).toEqual([SOUND]);
  expect(await world.dump()).toBe(repaired);
  expect(await world.stockOf(planted.productId)).toEqual(await world.ledgerSumOf(planted.productId));
});

test("an audit under live traffic finds nothing", async () => {
  const world = await openAudit();
  const productIds = await Promise.all(Array.from({ length: 8 }, () => world.addProduct(1_000)));
  let isOver = false;
  const customer = async (turn: number) => {
    for (let index = turn; !isOver; index++) {
      const productId = productIds[index % productIds.length]!;
      const orderId = await world.order(productId, 1 + (index % 3));
      if (index % 3 === 0) await world.cancelled(orderId);
      else if (index % 3 === 1) await world.shipped(orderId);
      else await world.adjusted(productId, 5);
    }
  };
  const customers = Array.from({ length: 6 }, (_, turn) => customer(turn));
  try {
    for (let round = 0; round < 8; round++) expect(await world.findings()).toEqual([]);
  } finally {
    isOver = true;
    await Promise.all(customers);
  }
  await world.published();
  world.later();
  expect(await world.findings()).toEqual([]);
}, 60_000);

test("a product with thousands of movements is checked completely, over several parts", async () => {
  const world = await openAudit();
  const productId = await world.addProduct(10_000);
  const count = 4_500;
  const entries = Array.from({ length: count }, (_, index) =>
    entry({
      keys: [`${productId}:${index + 2}`],
      moves: [
        {
          product_id: productId,
          sequence: index + 2,
          on_hand_delta: index === count - 1 ? -6_000 : -1,
          reserved_delta: 0,
        },
      ],
    }),
  );
  await world.ledgerDocuments.insertMany(entries);
  await world.productDocuments.updateOne(
    { _id: productId },
    { $set: { balance: { on_hand: 10_000 - (count - 1) - 6_000, reserved: 0, sequence: count + 1 } } },
  );
  const first = await world.audit.part(undefined);
  expect(first.checked.movements).toBeLessThan(count);
  expect(first.next).toMatchObject({ phase: "products", within: { productId } });
  expect(await world.findings()).toEqual([
    expect.objectContaining({
      invariant: "STOCK_NEGATIVE",
      facts: expect.objectContaining({ sequence: `${count + 1}` }),
    }),
  ]);
}, 60_000);

test("a part reads an entry once for all of its products, and stops after entries of about 2,000 lines", async () => {
  const world = await openAudit();
  const products = Array.from({ length: 600 }, () => newProduct(newId("product"), 1));
  await world.ledger.insertProducts(products, "test");
  const plansOf = watchPlans(world.ledgerDocuments);
  let part = await world.audit.part(undefined);
  expect(part.checked).toEqual({ products: 250, movements: 250 });
  const plans = await plansOf(async () => {
    part = await world.audit.part(part.next);
  });
  expect(plans.reduce((sum, { documents }) => sum + documents, 0)).toBe(1);

  const decisions = Array.from({ length: 900 }, () => ({
    order_id: newId("order"),
    outcome: "void" as const,
    lines: [],
  }));
  const large = Array.from({ length: 4 }, (_, index) =>
    entry({
      kind: "decided",
      decisions: decisions.map(({ order_id, ...rest }) => ({ ...rest, order_id: `${order_id}${index}` })),
      keys: decisions.map(({ order_id }) => `${order_id}${index}:decision`),
    }),
  );
  await world.ledgerDocuments.insertMany(large);
  const entries: number[] = [];
  for (let position: StockAuditPosition | undefined = { phase: "entries" }; position?.phase === "entries"; ) {
    const { checked, next, findings } = await world.audit.part(position);
    expect(findings).toEqual([]);
    entries.push(checked.entries!);
    position = next;
  }
  expect(entries).toEqual([3, 2]);
});

test("a page of movements reads one entry for each, and has the orders of that product only", async () => {
  const world = await openAudit();
  const [productId, other] = [await world.addProduct(1_000), await world.addProduct(1_000)];
  const orders: string[] = [];
  const append = async (kind: "decided" | "shipped", plan: EntryPlan) =>
    await world.ledger.append({ kind, plan, events: [], actor: "test", time: new Date() });
  for (let index = 0; index < 15; index++) {
    const balances = () => world.products.balancesOf([productId, other], "all");
    const placed = [productId, other].map((id) => ({
      orderId: newId("order"),
      lines: [{ productId: id, quantity: 1 }],
    }));
    const decided = decide(await balances(), placed);
    await append("decided", decided);
    await append("shipped", close(await balances(), decided.decisions, "shipped"));
    const { orderId } = placed[0]!;
    orders.unshift(orderId, orderId);
  }
  const plansOf = watchPlans(world.ledgerDocuments);
  const [plan] = await plansOf(async () => {
    const movements = await world.ledger.movementsOf(productId, 31, 20);
    expect(movements.map(({ move, orderIds }) => [move.sequence, orderIds])).toEqual(
      orders.slice(0, 20).map((orderId, index) => [31 - index, [orderId]]),
    );
  });
  expect(plan!.documents).toBe(20);
  expect(plan!.keys).toBeLessThanOrEqual(41);
  // Entries of earlier releases do not say which of the closed orders are of the product.
  await world.ledgerDocuments.updateMany({}, { $unset: { served: true } });
  const earlier = await world.ledger.movementsOf(productId, 31, 2);
  expect(earlier.map(({ orderIds }) => orderIds)).toEqual([expect.arrayContaining([orders[0]]), [orders[1]]]);
});

test("a balance is repaired while its product moves", async () => {
  const world = await openAudit();
  const productId = await world.addProduct(100);
  await world.productDocuments.updateOne({ _id: productId }, { $inc: { "balance.on_hand": 7 } });
  const moving = (async () => {
    for (let index = 0; index < 30; index++) await world.adjusted(productId, 1);
  })();
  await world.repair([{ invariant: "STOCK_BALANCE_WRONG", subject: productId }]);
  await moving;
  expect(await world.stockOf(productId)).toEqual({ onHand: 130, reserved: 0 });
  expect(await world.findings()).toEqual([]);
});

test("the audit runs once per interval, however often its job runs, and its report has the findings", async () => {
  const world = await openAudit();
  const { productId } = await plantProduct(world);
  await world.productDocuments.updateOne({ _id: productId }, { $inc: { "balance.on_hand": 1 } });
  const reports = createAuditReports(world.db, "stock");
  const jobOf = (now: () => Date): Job =>
    auditJob({
      audit: world.audit,
      reports,
      lease: { acquire: async () => true, release: async () => {} },
      intervalMs: 60_000,
      clock: now,
      log: silentLog,
    });
  const signal = new AbortController().signal;
  await jobOf(() => new Date()).run(signal);
  const first = await reports.last();
  expect(first).toMatchObject({
    counts: { STOCK_BALANCE_WRONG: 1, STOCK_NEGATIVE: 0 },
    checked: { products: 1, movements: 3, entries: 3 },
    findings: [{ subject: productId }],
  });
  await jobOf(() => new Date()).run(signal);
  expect((await reports.last())?.endTime).toEqual(first?.endTime);
  await world.audit.rederive(productId);
  await jobOf(() => new Date(Date.now() + 61_000)).run(signal);
  expect(await reports.last()).toMatchObject({ counts: { STOCK_BALANCE_WRONG: 0 }, findings: [] });
});
