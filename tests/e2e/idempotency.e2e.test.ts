import type { JsonObject } from "@bufbuild/protobuf";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { describe, expect, test } from "vitest";
import { protocols } from "./clients.ts";
import { addProduct, decided, shop, signInAdmin, signUp, statusName, stockOf, unique } from "./shopping.ts";

const admin = await signInAdmin();
const method = OrderService.method.createOrder;

describe("an order that is placed again and again under one name is one order,", () => {
  test.for(Object.entries(protocols))("in %s", async ([, connect]) => {
    const [buyer, product, client] = [await signUp(), await addProduct(admin, { stock: 10 }), connect(shop.url)];
    const request = { items: [{ productId: product.productId, quantity: 2 }] };
    const headers = { ...buyer.headers, "idempotency-key": unique("cart") };
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.call({ method, request, headers })));
    client.close();
    const [first] = answers as [{ message: { order: JsonObject } }];
    for (const answer of answers) expect(answer).toEqual(first);
    await decided(buyer, { orderId: String(first.message.order.orderId) });
    expect((await buyer.orders.getOrdersByUser({})).orders).toHaveLength(1);
    expect(await stockOf(product)).toBe(8);
  });
});

test("a name that was used in one protocol is known in all of them, as header and as field", async () => {
  const [buyer, product] = [await signUp(), await addProduct(admin, { stock: 10 })];
  const items = [{ productId: product.productId, quantity: 1 }];
  const requestId = unique("cart");
  const first = await buyer.orders.createOrder({ items, requestId });
  for (const connect of Object.values(protocols)) {
    const client = connect(shop.url);
    const named = await client.call({
      method,
      request: { items },
      headers: { ...buyer.headers, "idempotency-key": requestId },
    });
    expect(named).toMatchObject({
      message: { order: { orderId: first.order?.orderId, status: "ORDER_STATUS_PENDING" } },
    });
    const other = await client.call({
      method,
      request: { items: [{ ...items[0]!, quantity: 2 }], requestId },
      headers: buyer.headers,
    });
    client.close();
    expect(other).toMatchObject({
      error: { code: "InvalidArgument", reason: "REQUEST_ID_REUSED", violations: ["request_id"] },
    });
  }
  await decided(buyer, first.order!);
  expect(await stockOf(product)).toBe(9);
});

test("an order that is cancelled by its owner gives its stock back, and returning goods does too", async () => {
  const [buyer, product] = [await signUp(), await addProduct(admin, { stock: 10 })];
  const place = async () => {
    const { order } = await buyer.orders.createOrder({ items: [{ productId: product.productId, quantity: 3 }] });
    await decided(buyer, order!);
    return order!.orderId;
  };
  await buyer.orders.cancelOrder({ orderId: await place(), reason: "changed my mind" });
  await expect.poll(() => stockOf(product), { timeout: 10_000 }).toBe(10);

  const orderId = await place();
  for (const status of [OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED]) {
    await admin.orders.updateOrderStatus({ orderId, status });
  }
  await expect.poll(() => stockOf(product), { timeout: 10_000 }).toBe(10);
  const { events } = await buyer.orders.listOrderEvents({ orderId });
  expect(events.map(({ status }) => statusName(status))).toEqual([
    "PENDING",
    "CONFIRMED",
    "SHIPPED",
    "DELIVERED",
    "RETURNED",
  ]);
});
