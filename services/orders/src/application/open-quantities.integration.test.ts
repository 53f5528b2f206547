import { newId } from "@shop/core";
import { expect, test } from "vitest";
import { placedEvent } from "../adapters/proto/events.ts";
import type { Order } from "../domain/order.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { createOpenQuantities, type OpenQuantityLimits } from "./open-quantities.ts";

const price = { currencyCode: "EUR", minorUnits: 100n };

/** `replicas` instances, which insert orders in turn. */
async function openReplicas(limits: OpenQuantityLimits, replicas = 1) {
  const { orders, documents, stockDecisions } = await openTestOrders();
  const quantities = Array.from({ length: replicas }, () => createOpenQuantities({ orders, limits }));
  const [productId, other] = [newId("product"), newId("product")];
  let turn = 0;
  /** Returns the order's id, or the error's reason. */
  async function place(userId: string, quantity: number, product = productId): Promise<string> {
    const time = new Date();
    const order: Order = {
      ...{ orderId: newId("order"), userId, status: "pending", statusReason: "", total: price, version: 1 },
      ...{ createTime: time, updateTime: time },
      items: [{ productId: product, name: "Thing", quantity, unitPrice: price }],
    };
    const transition = { status: "pending", time, actor: userId, reason: "", traceId: "" } as const;
    try {
      const replica = quantities[turn++ % replicas]!;
      await replica.insertWithin(order, (sequence) =>
        orders.insert(order, transition, [placedEvent(order)], undefined, sequence),
      );
      return order.orderId;
    } catch (error) {
      return (error as { reason?: string }).reason ?? String(error);
    }
  }
  const open = async (userId: string) => {
    const { units } = await orders.findOpenQuantity(userId);
    return units.values().reduce((sum, one) => sum + one, 0);
  };
  return { documents, stockDecisions, place, open, other, abuser: newId("user"), customer: newId("user") };
}

const exceeded = "OPEN_UNITS_EXCEEDED";

test("an account's open units never exceed its limit, however many of its orders are concurrent, and other accounts are unaffected", async () => {
  const { place, open, abuser, customer } = await openReplicas({ perAccount: 20, perProduct: 0 });
  const outcomes = await Promise.all(Array.from({ length: 40 }, () => place(abuser, 3)));
  expect(outcomes.filter((outcome) => outcome !== exceeded)).toHaveLength(6);
  expect(await open(abuser)).toBe(18);
  expect(await place(abuser, 2)).not.toBe(exceeded);
  expect(await place(abuser, 1)).toBe(exceeded);
  expect(await place(customer, 20)).not.toBe(exceeded);
});

test("the limit holds exactly when several replicas insert an account's orders concurrently", async () => {
  const { place, open, documents, abuser } = await openReplicas({ perAccount: 10, perProduct: 0 }, 3);
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 6 }, () => place(abuser, 3)));
  expect(await open(abuser)).toBe(9);
  expect(await documents.countDocuments()).toBe(3);
});

test("the limit per product applies to each product separately", async () => {
  const { place, other, abuser } = await openReplicas({ perAccount: 0, perProduct: 5 });
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => place(abuser, 2)));
  expect(outcomes.filter((outcome) => outcome !== exceeded)).toHaveLength(2);
  expect(await place(abuser, 5, other)).not.toBe(exceeded);
});

test("orders that have ended do not count", async () => {
  const { stockDecisions, place, open, customer } = await openReplicas({ perAccount: 10, perProduct: 0 });
  const [first, second] = [await place(customer, 5), await place(customer, 5)];
  await stockDecisions.reject([{ orderId: first, reason: "none left" }]);
  await stockDecisions.confirm([{ orderId: second }]);
  expect(await open(customer)).toBe(5);
  // The process still has both orders in its sum, and reads the open quantity again because the limit seems reached.
  expect(await place(customer, 5)).not.toBe(exceeded);
});

test("without limits orders get no sequence numbers", async () => {
  const { place, documents, customer } = await openReplicas({ perAccount: 0, perProduct: 0 });
  await Promise.all([place(customer, 1_000_000), place(customer, 1_000_000)]);
  expect(await documents.countDocuments({ place: { $exists: true } })).toBe(0);
});
