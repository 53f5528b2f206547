import { RepairOutcome } from "@shop/gen/shop/common/v1/audit_pb";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { MongoClient } from "mongodb";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { operatorUrls } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";
import { type Account, addProduct, decided, placeOrder, shop, signInAdmin, signUp, stockOf } from "./shopping.ts";

let admin: Account;
beforeAll(async () => {
  admin = await signInAdmin();
});

/** The findings of whole audits of stock and orders, as `invariant subject`. */
async function findings(): Promise<string[]> {
  const found: string[] = [];
  for (const audit of [admin.inventory.auditStock, admin.orders.auditOrders]) {
    let pageToken = "";
    do {
      const part = await audit({ pageToken });
      found.push(...part.findings.map(({ invariant, subject }) => `${invariant} ${subject}`));
      pageToken = part.nextPageToken;
    } while (pageToken !== "");
  }
  return found;
}

/** The databases of this shop, to damage them. */
async function openMongo(): Promise<MongoClient> {
  const client = await MongoClient.connect(operatorUrls(shop.dataDir).MONGODB_URI);
  onTestFinished(() => client.close());
  return client;
}

test("an audit finds stock that a cancelled order still holds, and a repair releases it, once", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 10 });
  const order = await decided(buyer, await placeOrder(buyer, [product, 3]));
  expect(order.status).toBe(OrderStatus.CONFIRMED);
  expect(await findings()).toEqual([]);

  // Cancelled an hour ago, and the event was lost.
  const time = new Date(Date.now() - 3_600_000);
  const move = { status: "cancelled", time, actor: "test", reason: "", trace_id: "" };
  await (await openMongo())
    .db("orders")
    .collection<{ _id: string; history: object[] }>("orders")
    .updateOne(
      { _id: order.orderId },
      { $set: { status: "cancelled", update_time: time }, $push: { history: move }, $inc: { version: 1 } },
    );
  expect(await findings()).toEqual([`ORDER_RESERVATION_OPEN ${order.orderId}`]);
  expect(await stockOf(product)).toBe(7);

  const targets = [{ invariant: "ORDER_RESERVATION_OPEN", subject: order.orderId }];
  expect((await admin.orders.repairOrders({ targets })).repairs[0]?.outcome).toBe(RepairOutcome.REPAIRED);
  await eventually(async () => expect(await stockOf(product)).toBe(10));
  expect((await admin.orders.repairOrders({ targets })).repairs[0]?.outcome).toBe(RepairOutcome.SOUND);
  expect(await findings()).toEqual([]);
});

test("an audit finds a balance that differs from the ledger, and a repair corrects it", async () => {
  const product = await addProduct(admin, { stock: 10 });
  const { productId } = product;
  await (await openMongo())
    .db("inventory")
    .collection<{ _id: string }>("products")
    .updateOne({ _id: productId }, { $inc: { "balance.on_hand": 5, version: 1 } });
  expect(await findings()).toEqual([`STOCK_BALANCE_WRONG ${productId}`]);
  await admin.inventory.repairStock({ targets: [{ invariant: "STOCK_BALANCE_WRONG", subject: productId }] });
  expect(await findings()).toEqual([]);
  await eventually(async () => expect(await stockOf(product)).toBe(10));
});
