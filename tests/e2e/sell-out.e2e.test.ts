import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import type { Product } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { expect, test } from "vitest";
import { eventually } from "./eventually.ts";
import { type Account, addProduct, shop, signInAdmin, signUpMany, stockOf } from "./shopping.ts";

const [accounts, ordersOfEach, units] = [50, 100, 1_000];

/** All buyers' calls, over as many connections as a load balancer in front of the shop would open. */
const orders = createClient(
  OrderService,
  createConnectTransport({
    baseUrl: shop.url,
    httpVersion: "1.1",
    nodeOptions: { agent: new Agent({ keepAlive: true, maxSockets: 256 }) },
  }),
);

/** Places an order like a client that honours RetryInfo: it retries the same request after the delay. */
async function buyOne({ headers }: Account, { productId }: Product): Promise<string> {
  const request = { items: [{ productId, quantity: 1 }], requestId: crypto.randomUUID() };
  for (;;) {
    try {
      return (await orders.createOrder(request, { headers, timeoutMs: 60_000 })).order!.orderId;
    } catch (reason) {
      const [retryInfo] = ConnectError.from(reason).findDetails(RetryInfoSchema);
      if (retryInfo === undefined) throw reason;
      const { seconds, nanos } = retryInfo.retryDelay!;
      await delay(Number(seconds) * 1_000 + nanos / 1_000_000);
    }
  }
}

/** The number of a buyer's orders with a status. */
async function countOrders(buyer: Account, status: OrderStatus): Promise<number> {
  let [count, pageToken] = [0, ""];
  do {
    const page = await buyer.orders.getOrdersByUser({ status, pageSize: 100, pageToken });
    count += page.orders.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return count;
}

test("5,000 concurrent buyers of the 1,000 units of one product get exactly these, one order each", async () => {
  const [admin, buyers] = [await signInAdmin(), await signUpMany(accounts)];
  const product = await addProduct(admin, { stock: units });
  const orderIds = await Promise.all(
    buyers.flatMap((buyer) => Array.from({ length: ordersOfEach }, () => buyOne(buyer, product))),
  );
  expect(new Set(orderIds).size).toBe(accounts * ordersOfEach);

  const total = async (status: OrderStatus) =>
    (await Promise.all(buyers.map((buyer) => countOrders(buyer, status)))).reduce((sum, count) => sum + count, 0);
  await eventually(async () => expect(await total(OrderStatus.PENDING)).toBe(0), { timeoutMs: 30_000 });
  expect(await total(OrderStatus.CONFIRMED)).toBe(units);
  expect(await total(OrderStatus.REJECTED)).toBe(accounts * ordersOfEach - units);
  await eventually(async () => expect(await stockOf(product)).toBe(0));
}, 120_000);
