import { newId } from "@shop/core";
import { expect, test } from "vitest";
import { placedEvent } from "../adapters/proto/events.ts";
import type { Order } from "../domain/order.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { createOpenQuantities, type OpenQuantityLimits } from "./open-quantities.ts";

const price = { currencyCode: "EUR", minorUnits: 100n };

/** Replicas that insert orders of an abuser and of a customer. */
async function openReplicas(limits: OpenQuantityLimits, replicas = 1) {
  const { orders, documents, followStock } = await openTestOrders();
  const quantities = Array.from({ length: replicas }, () => createOpenQuantities({ orders, limits }));
  const [productId, other] = [newId("product"), newId("product")];
  let turn = 0;
  /** The order's id, or the reason why there is none. */
  async function place(userId: string, quantity: number, product = productId): Promise<string> {
    const time = new Date();
    const order: Order = {
      ...{ orderId: newId("order"), userId, status: "pending", statusReason: "", total: price, version: 1 },
      ...{ createTime: time, updateTime: time },
      items: [{ productId: product, name: "Thing", quantity, unitPrice: price }],
    };
    const move = { status: "pending", time, actor: userId, reason: "", traceId: "" } as const;
    try {
      const replica = quantities[turn++ % replicas]!;
      await replica.within(order, (at) => orders.insert(order, move, [placedEvent(order)], undefined, at));
      return order.orderId;
    } catch (error) {
      return (error as { reason?: string }).reason ?? String(error);
    }
  }
  const open = async (userId: string) => {
    const { units } = await orders.findOpenQuantity(userId);
    return units.values().reduce((sum, one) => sum + one, 0);
  };
  return { documents, followStock, place, open, other, abuser: newId("user"), customer: newId("user") };
}

const exceeded = "OPEN_UNITS_EXCEEDED";

test("an account that orders all it can has no more open than the limit, however many orders come at once, and others still order", async () => {
  const { place, open, abuser, customer } = await openReplicas({ perAccount: 20, perProduct: 0 });
  const outcomes = await Promise.all(Array.from({ length: 40 }, () => place(abuser, 3)));
  expect(outcomes.filter((outcome) => outcome !== exceeded)).toHaveLength(6);
  expect(await open(abuser)).toBe(18);
  expect(await place(abuser, 2)).not.toBe(exceeded);
  expect(await place(abuser, 1)).toBe(exceeded);
  expect(await place(customer, 20)).not.toBe(exceeded);
});

test("several replicas that take an account's orders at the same moment pass the limit no more than one does", async () => {
  const { place, open, documents, abuser } = await openReplicas({ perAccount: 10, perProduct: 0 }, 3);
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 6 }, () => place(abuser, 3)));
  expect(await open(abuser)).toBe(9);
  expect(await documents.countDocuments()).toBe(3);
});

test("of one product an account has no more open than its limit, and of another as much again", async () => {
  const { place, other, abuser } = await openReplicas({ perAccount: 0, perProduct: 5 });
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => place(abuser, 2)));
  expect(outcomes.filter((outcome) => outcome !== exceeded)).toHaveLength(2);
  expect(await place(abuser, 5, other)).not.toBe(exceeded);
});

test("what has ended or was shipped counts no more", async () => {
  const { followStock, place, open, customer } = await openReplicas({ perAccount: 10, perProduct: 0 });
  const [first, second] = [await place(customer, 5), await place(customer, 5)];
  await followStock.reject([{ orderId: first, reason: "none left" }]);
  await followStock.confirm([{ orderId: second }]);
  expect(await open(customer)).toBe(5);
  // A process that knew of both reads what is open when the limit seems reached.
  expect(await place(customer, 5)).not.toBe(exceeded);
});

test("without a limit orders take no places", async () => {
  const { place, documents, customer } = await openReplicas({ perAccount: 0, perProduct: 0 });
  await Promise.all([place(customer, 1_000_000), place(customer, 1_000_000)]);
  expect(await documents.countDocuments({ place: { $exists: true } })).toBe(0);
});
