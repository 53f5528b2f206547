import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { OrderCancelledSchema, OrderPlacedSchema } from "@shop/gen/shop/orders/v1/events_pb";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Closing, maxOnHand } from "../../domain/ledger.ts";
import { orderClosed } from "../../events/order-closed.ts";
import { orderPlaced } from "../../events/order-placed.ts";
import { openTestInventory } from "../../testing/open-test-inventory.ts";

/** A minimal model of stock, with which the real store has to agree after every step. */
interface Model {
  readonly products: Map<string, { onHand: number; reserved: number }>;
  readonly orders: Map<
    string,
    { lines: Map<string, number>; state: "open" | "held" | "refused" | "void" | Closing["outcome"] }
  >;
}

type Inventory = Awaited<ReturnType<typeof openTestInventory>>;
type Real = {
  readonly inventory: Inventory;
  readonly productIds: readonly string[];
  readonly orderIds: readonly string[];
};
type Step = fc.AsyncCommand<Model, Real>;

async function agree(model: Model, { inventory }: Real): Promise<void> {
  for (const [productId, stock] of model.products) {
    expect(await inventory.stockOf(productId)).toEqual(stock);
    expect(await inventory.ledgerSumOf(productId)).toEqual(stock);
    expect(stock.reserved).toBeLessThanOrEqual(stock.onHand);
    expect(stock.reserved).toBeGreaterThanOrEqual(0);
  }
}

const always = () => true;

/** Places orders in one batch; each of them may have been placed, cancelled or shipped before. */
const place = (
  batch: readonly (readonly [order: number, lines: readonly (readonly [product: number, quantity: number])[]])[],
): Step => ({
  check: always,
  toString: () => `place ${JSON.stringify(batch)}`,
  async run(model, real) {
    const events = batch.map(([order, lines]) =>
      create(OrderPlacedSchema, {
        orderId: real.orderIds[order]!,
        lines: lines.map(([product, quantity]) => ({ productId: real.productIds[product]!, quantity })),
      }),
    );
    await orderPlaced({ ...real.inventory, repeat: async () => {} })(
      events,
      events.map(({ orderId }) => `orders/OrderPlaced/${orderId}/1/0`),
    );
    for (const { orderId, lines } of new Map(events.map((event) => [event.orderId, event])).values()) {
      if (model.orders.has(orderId)) continue;
      const wanted = new Map<string, number>();
      for (const { productId, quantity } of lines) wanted.set(productId, (wanted.get(productId) ?? 0) + quantity);
      const stocks = [...wanted].map(([productId, quantity]) => ({ stock: model.products.get(productId)!, quantity }));
      const suffices = stocks.every(({ stock, quantity }) => stock.onHand - stock.reserved >= quantity);
      if (suffices) for (const { stock, quantity } of stocks) stock.reserved += quantity;
      model.orders.set(orderId, { lines: wanted, state: suffices ? "held" : "refused" });
    }
    await agree(model, real);
  },
});

const closeOrder = (order: number, outcome: Closing["outcome"]): Step => ({
  check: always,
  toString: () => `${outcome} ${order}`,
  async run(model, real) {
    const orderId = real.orderIds[order]!;
    await orderClosed(real.inventory, outcome)([create(OrderCancelledSchema, { orderId })]);
    const known = model.orders.get(orderId);
    if (known === undefined) model.orders.set(orderId, { lines: new Map(), state: "void" });
    else {
      const each = (change: (stock: { onHand: number; reserved: number }, quantity: number) => void) => {
        for (const [productId, quantity] of known.lines) change(model.products.get(productId)!, quantity);
      };
      const leaves = outcome !== "released" && known.state === "held";
      if (outcome === "released" && known.state === "held") {
        each((stock, quantity) => {
          stock.reserved -= quantity;
        });
        known.state = "released";
      }
      if (leaves) {
        each((stock, quantity) => {
          stock.reserved -= quantity;
          stock.onHand -= quantity;
        });
        known.state = "shipped";
      }
      if (outcome === "returned" && known.state === "shipped") {
        each((stock, quantity) => {
          stock.onHand += quantity;
        });
        known.state = "returned";
      }
    }
    await agree(model, real);
  },
});

/** Simulates a crash after the insert of an entry, before its projection: the next writer has to catch up. */
const crashAfterReceiving = (product: number, quantity: number): Step => ({
  check: always,
  toString: () => `crash after receiving ${quantity} of ${product}`,
  async run(model, real) {
    const productId = real.productIds[product]!;
    const document = await real.inventory.productDocuments.findOne({ _id: productId });
    const sequence = document!.balance.sequence + 1;
    const move = { product_id: productId, sequence, on_hand_delta: quantity, reserved_delta: 0 };
    await real.inventory.ledgerDocuments.insertOne({
      _id: newId("entry"),
      kind: "adjusted",
      keys: [`${productId}:${sequence}`],
      moves: [move],
      decisions: [],
      closings: [],
      actor: "test",
      create_time: new Date(),
      outbox: [],
    });
    model.products.get(productId)!.onHand += quantity;
    if (model.products.get(productId)!.onHand > maxOnHand)
      throw new Error("the test receives more than the largest stock");
  },
});

const order = fc.nat(7);
const line = fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 6 }));
const steps = [
  fc.array(fc.tuple(order, fc.array(line, { minLength: 1, maxLength: 4 })), { minLength: 1, maxLength: 4 }).map(place),
  fc.tuple(order, fc.constantFrom("released", "shipped", "returned")).map(([id, outcome]) => closeOrder(id, outcome)),
];

test("stock agrees with a minimal model after any sequence of placing, cancelling, shipping and returning", async () => {
  const inventory = await openTestInventory();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 3, maxLength: 3 }),
      fc.commands(steps, { maxCommands: 25 }),
      async (onHand, commands) => {
        await fc.asyncModelRun(async () => {
          const productIds = [];
          for (const quantity of onHand) productIds.push(await inventory.addProduct(quantity));
          const orderIds = Array.from({ length: 8 }, () => newId("order"));
          const products = new Map(productIds.map((id, index) => [id, { onHand: onHand[index]!, reserved: 0 }]));
          return { model: { products, orders: new Map() }, real: { inventory, productIds, orderIds } };
        }, commands);
      },
    ),
    { numRuns: 25 },
  );
}, 120_000);

test("orders are decided by the ledger when a crash left balances behind it", async () => {
  const inventory = await openTestInventory();
  const productId = await inventory.addProduct(0);
  const real = { inventory, productIds: [productId], orderIds: [newId("order"), newId("order")] };
  const model: Model = { products: new Map([[productId, { onHand: 0, reserved: 0 }]]), orders: new Map() };
  await crashAfterReceiving(0, 5).run(model, real);
  await place([
    [0, [[0, 5]]],
    [1, [[0, 1]]],
  ]).run(model, real);
  expect([...model.orders.values()].map(({ state }) => state)).toEqual(["held", "refused"]);
});
