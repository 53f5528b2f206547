import type { DescMethodUnary, JsonObject } from "@bufbuild/protobuf";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { describe, expect, test } from "vitest";
import { protocols } from "./clients.ts";
import { addProduct, decided, password, shop, signInAdmin, signUp, statusName, stockOf, unique } from "./shopping.ts";

const admin = await signInAdmin();
const method = OrderService.method.createOrder;

describe("an order that is placed repeatedly with one key is one order,", () => {
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

test("a key used in one protocol is known in all of them, as header and as field", async () => {
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

describe("a method with an Idempotency-Key, quoted or bare, takes effect once,", () => {
  test.for(Object.entries(protocols))("in %s", async ([, connect]) => {
    const client = connect(shop.url);
    const make = async (method: DescMethodUnary, request: JsonObject, headers: Record<string, string>) => {
      const key = unique("key");
      const keys = Array.from({ length: 4 }, (_, index) => (index % 2 === 0 ? key : `"${key}"`));
      return await Promise.all(
        keys.map((each) => client.call({ method, request, headers: { ...headers, "idempotency-key": each } })),
      );
    };
    const price = { currencyCode: "EUR", minorUnits: "100" };
    const product = { name: unique("Pot"), category: "Kitchen", price, sku: unique("POT") };
    const stocked = await addProduct(admin, { stock: 1 });
    const adjustment = { productId: stocked.productId, onHandDelta: 5, reason: "counted" };
    for (const answers of [
      await make(InventoryService.method.createProduct, { product }, admin.headers),
      await make(InventoryService.method.adjustStock, adjustment, admin.headers),
      await make(UserService.method.register, { username: unique("twin"), password }, {}),
    ]) {
      expect(answers[0]).toHaveProperty("message");
      for (const answer of answers) expect(answer).toEqual(answers[0]);
    }
    expect(await stockOf(stocked)).toBe(6);
    client.close();
  });
});

test("methods that create nothing ignore an Idempotency-Key of any form", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin);
  for (const connect of Object.values(protocols)) {
    const client = connect(shop.url);
    const headers = { ...buyer.headers, "idempotency-key": "no key at all" };
    for (const [method, request] of [
      [UserService.method.authenticate, { username: buyer.username, password }],
      [UserService.method.updateUserProfile, { profile: { userId: buyer.userId }, updateMask: "" }],
      [InventoryService.method.getProductByID, { productId: product.productId }],
    ] as const)
      expect(await client.call({ method, request, headers })).toHaveProperty("message");
    client.close();
  }
});

test("a product that was read can be edited and sent back unchanged otherwise, by PATCH", async () => {
  const { productId } = await addProduct(admin, { stock: 7, sku: unique("SKU"), attributes: { color: "red" } });
  const url = `${shop.url}/products/${productId}`;
  const read = (await (await fetch(url)).json()) as JsonObject;
  const headers = { ...admin.headers, "content-type": "application/json" };
  const patch = async (body: JsonObject) => {
    const answer = await fetch(url, { method: "PATCH", headers, body: JSON.stringify(body) });
    return { status: answer.status, body: (await answer.json()) as JsonObject };
  };
  expect(await patch({ ...read, name: "Another name" })).toMatchObject({
    status: 200,
    body: { name: "Another name", stock: 7, attributes: { color: "red" } },
  });
  expect((await patch({ name: "Yet another", stock: 8 })).status).toBe(400);

  const profileUrl = `${shop.url}/profile/${admin.userId}`;
  const profile = (await (await fetch(profileUrl, { headers })).json()) as JsonObject;
  const answer = await fetch(profileUrl, { method: "PATCH", headers, body: JSON.stringify(profile) });
  expect(answer.status).toBe(200);
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
