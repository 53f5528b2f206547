import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { OrderCancelledSchema, type OrderPlaced, OrderPlacedSchema } from "@shop/gen/shop/orders/v1/events_pb";
import type { PendingEvent } from "@shop/messaging";
import { expect, test, vi } from "vitest";
import { openTestInventory } from "../testing/open-test-inventory.ts";
import { orderClosed } from "./order-closed.ts";
import { orderPlaced } from "./order-placed.ts";

type Line = readonly [productId: string, quantity: number];

function placed(...lines: readonly Line[]): OrderPlaced {
  return create(OrderPlacedSchema, {
    orderId: newId("order"),
    lines: lines.map(([productId, quantity]) => ({ productId, quantity })),
  });
}

async function openStock() {
  const inventory = await openTestInventory();
  const repeated: string[] = [];
  const repeat = async (events: readonly PendingEvent[]) => void repeated.push(...events.map((event) => event.type));
  /** The event handlers of one replica. */
  const replica = () => {
    const close = (outcome: "released" | "shipped" | "returned") => {
      const effect = orderClosed(inventory, outcome);
      return (...orders: OrderPlaced[]) =>
        effect(orders.map(({ orderId }) => create(OrderCancelledSchema, { orderId })));
    };
    const place = orderPlaced({ ...inventory, repeat });
    return {
      placed: (...orders: OrderPlaced[]) =>
        place(
          orders,
          orders.map(({ orderId }) => `orders/OrderPlaced/${orderId}/1/0`),
        ),
      cancelled: close("released"),
      shipped: close("shipped"),
      returned: close("returned"),
    };
  };
  const outcomeOf = async (order: OrderPlaced) =>
    (await inventory.ledger.decisionsOf([order.orderId])).get(order.orderId)?.outcome;
  return { ...inventory, replica, outcomeOf, repeated };
}

test("an OrderPlaced that is delivered ten times moves stock once, and its decision is published each time", async () => {
  const { addProduct, stockOf, replica, repeated } = await openStock();
  const productId = await addProduct(10);
  const order = placed([productId, 3]);
  for (let time = 0; time < 10; time++) await replica().placed(order);
  expect(await stockOf(productId)).toEqual({ onHand: 10, reserved: 3 });
  expect(repeated).toEqual(Array(9).fill("shop.inventory.v1.StockReserved"));
});

test("an order that arrives by a call and by an event is decided once, and both return the same decision", async () => {
  const { addProduct, stockOf, replica, decide, repeated } = await openStock();
  const productId = await addProduct(4);
  const [order, another] = [placed([productId, 3]), placed([productId, 3])];
  const asked = await decide([order, another]);
  expect(asked).toMatchObject({ before: [], now: [{ outcome: "reserved" }, { outcome: "refused" }] });
  await replica().placed(order, another);
  expect((await decide([order])).before).toMatchObject([{ outcome: "reserved" }]);
  expect(repeated.toSorted()).toEqual(["shop.inventory.v1.StockRejected", "shop.inventory.v1.StockReserved"]);
  expect(await stockOf(productId)).toEqual({ onHand: 4, reserved: 3 });
});

test("an order that is twice in one batch is decided once", async () => {
  const { addProduct, stockOf, replica } = await openStock();
  const productId = await addProduct(10);
  const order = placed([productId, 3]);
  await replica().placed(order, order);
  expect(await stockOf(productId)).toEqual({ onHand: 10, reserved: 3 });
});

test("three replicas that race for 10 units of one product reserve exactly 10", async () => {
  const { addProduct, stockOf, ledgerSumOf, replica, outcomeOf } = await openStock();
  const productId = await addProduct(10);
  const orders = Array.from({ length: 36 }, () => placed([productId, 1]));
  const replicas = [replica(), replica(), replica()];
  await Promise.all(orders.map((order, index) => replicas[index % 3]!.placed(order)));
  const outcomes = await Promise.all(orders.map(outcomeOf));
  expect(outcomes.filter((outcome) => outcome === "reserved")).toHaveLength(10);
  expect(outcomes.filter((outcome) => outcome === "refused")).toHaveLength(26);
  expect(await stockOf(productId)).toEqual({ onHand: 10, reserved: 10 });
  expect(await ledgerSumOf(productId)).toEqual({ onHand: 10, reserved: 10 });
}, 30_000);

test("an order with one line short reserves nothing of its other lines", async () => {
  const { addProduct, stockOf, replica, outcomeOf } = await openStock();
  const [plenty, short] = [await addProduct(10), await addProduct(1)];
  const order = placed([plenty, 1], [short, 2]);
  await replica().placed(order);
  expect(await outcomeOf(order)).toBe("refused");
  expect(await stockOf(plenty)).toEqual({ onHand: 10, reserved: 0 });
});

test("a repeated OrderCancelled releases a reservation once", async () => {
  const { addProduct, stockOf, replica } = await openStock();
  const productId = await addProduct(10);
  const [kept, cancelled] = [placed([productId, 4]), placed([productId, 3])];
  await replica().placed(kept, cancelled);
  await Promise.all(Array.from({ length: 5 }, () => replica().cancelled(cancelled)));
  expect(await stockOf(productId)).toEqual({ onHand: 10, reserved: 4 });
});

test("a repeated OrderShipped ships a reservation once", async () => {
  const { addProduct, stockOf, ledgerSumOf, replica } = await openStock();
  const productId = await addProduct(10);
  const order = placed([productId, 3]);
  await replica().placed(order);
  await Promise.all(Array.from({ length: 5 }, () => replica().shipped(order)));
  expect(await stockOf(productId)).toEqual({ onHand: 7, reserved: 0 });
  expect(await ledgerSumOf(productId)).toEqual({ onHand: 7, reserved: 0 });
});

test("shipped stock can't be released, and released stock can't be shipped", async () => {
  const { addProduct, stockOf, replica } = await openStock();
  const productId = await addProduct(10);
  const [shipped, cancelled] = [placed([productId, 3]), placed([productId, 2])];
  await replica().placed(shipped, cancelled);
  await replica().shipped(shipped);
  await replica().cancelled(shipped, cancelled);
  await replica().shipped(cancelled);
  expect(await stockOf(productId)).toEqual({ onHand: 7, reserved: 0 });
});

test("an order that is cancelled before its decision reserves nothing when its OrderPlaced arrives late", async () => {
  const { addProduct, stockOf, replica, outcomeOf, repeated } = await openStock();
  const productId = await addProduct(10);
  const order = placed([productId, 3]);
  await replica().cancelled(order);
  await replica().placed(order);
  expect(await outcomeOf(order)).toBe("void");
  expect(await stockOf(productId)).toEqual({ onHand: 10, reserved: 0 });
  expect(repeated).toEqual([]);
});

test("concurrent placing and cancelling leave nothing reserved, in either order", async () => {
  const { addProduct, stockOf, replica } = await openStock();
  const productId = await addProduct(50);
  const orders = Array.from({ length: 20 }, () => placed([productId, 1]));
  await Promise.all(orders.flatMap((order) => [replica().placed(order), replica().cancelled(order)]));
  expect(await stockOf(productId)).toEqual({ onHand: 50, reserved: 0 });
}, 30_000);

test("orders that are cancelled in one batch, decided or not, are closed together and each once", async () => {
  const { addProduct, ledgerDocuments, stockOf, replica, outcomeOf } = await openStock();
  const [one, another] = [await addProduct(10), await addProduct(10)];
  const decided = [placed([one, 2]), placed([one, 1], [another, 3]), placed([another, 1])];
  const undecided = [placed([one, 5]), placed([another, 5])];
  await replica().placed(...decided);
  await replica().cancelled(...decided, ...undecided, ...decided);
  await replica().placed(...undecided);
  expect(await stockOf(one)).toEqual({ onHand: 10, reserved: 0 });
  expect(await stockOf(another)).toEqual({ onHand: 10, reserved: 0 });
  expect(await Promise.all(undecided.map(outcomeOf))).toEqual(["void", "void"]);
  expect(await ledgerDocuments.countDocuments({ kind: "released" })).toBe(1);
});

test("an order of an archived product is refused, and earlier reservations of it can still be shipped", async () => {
  const { addProduct, products, stockOf, replica, outcomeOf } = await openStock();
  const productId = await addProduct(10);
  const [before, after] = [placed([productId, 1]), placed([productId, 1])];
  await replica().placed(before);
  const read = await products.findById(productId);
  await products.update(read!, { ...read!.details, state: "archived" }, new Date());
  await replica().placed(after);
  await replica().shipped(before);
  expect(await outcomeOf(after)).toBe("refused");
  expect(await stockOf(productId)).toEqual({ onHand: 9, reserved: 0 });
});

test("an order of a deleted product is refused, and earlier reservations of it can still be shipped", async () => {
  const { addProduct, products, stockOf, replica, outcomeOf } = await openStock();
  const productId = await addProduct(10);
  const [before, after] = [placed([productId, 1]), placed([productId, 1])];
  await replica().placed(before);
  await products.remove(productId, undefined, new Date());
  await replica().placed(after);
  await replica().shipped(before);
  expect(await outcomeOf(after)).toBe("refused");
  expect(await stockOf(productId)).toEqual({ onHand: 9, reserved: 0 });
});

test("returned stock is on hand again, once, in any order of the events", async () => {
  const { addProduct, stockOf, ledgerSumOf, replica } = await openStock();
  const productId = await addProduct(10);
  const [inTurn, outOfTurn] = [placed([productId, 3]), placed([productId, 2])];
  await replica().placed(inTurn, outOfTurn);
  await replica().shipped(inTurn);
  await replica().returned(inTurn);
  await replica().returned(outOfTurn);
  await replica().shipped(outOfTurn);
  await Promise.all(Array.from({ length: 5 }, () => replica().returned(inTurn, outOfTurn)));
  expect(await stockOf(productId)).toEqual({ onHand: 10, reserved: 0 });
  expect(await ledgerSumOf(productId)).toEqual({ onHand: 10, reserved: 0 });
});

test("concurrent decisions, closings and adjustments of one process run one at a time, so no append conflicts", async () => {
  const { addProduct, stockOf, replica, ledger } = await openStock();
  const productId = await addProduct(100);
  const append = vi.spyOn(ledger, "append");
  const orders = Array.from({ length: 20 }, () => placed([productId, 1]));
  const { placed: place, cancelled: cancel } = replica();
  await Promise.all(orders.slice(0, 10).map((order) => place(order)));
  await Promise.all([
    ...orders.slice(10).map((order) => place(order)),
    ...orders.slice(0, 10).map((order) => cancel(order)),
  ]);
  expect(await Promise.all(append.mock.results.map(({ value }) => value))).toEqual(
    Array.from({ length: 30 }, () => true),
  );
  expect(await stockOf(productId)).toEqual({ onHand: 100, reserved: 10 });
});
