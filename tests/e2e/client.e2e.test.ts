import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createShop, type Shop } from "@shop/client";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Link, openLink } from "../resilience/link.ts";
import { eventually } from "./eventually.ts";
import { type Account, addProduct, decided, password, shop, signInAdmin, unique } from "./shopping.ts";

const { CONFIRMED, SHIPPED, DELIVERED, RETURNED } = OrderStatus;

let admin: Account;
beforeAll(async () => {
  admin = await signInAdmin();
});

async function signUpWith(client: Shop): Promise<string> {
  const credentials = { username: unique("client"), password };
  await client.users.register(credentials);
  return (await client.session.signIn(credentials)).userId;
}

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  Connect: (baseUrl) => createConnectTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl }),
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
};

describe.for(Object.keys(transports))("the client, over %s and a connection that breaks,", (protocol) => {
  let link: Link;
  let client: Shop;
  let userId: string;
  beforeEach(async () => {
    link = await openLink(Number(new URL(shop.url).port));
    client = createShop({ transport: transports[protocol]!(`http://127.0.0.1:${link.port}`) });
    userId = await signUpWith(client);
    return () => link.close();
  });
  const breakConnections = () => {
    link.suffer({ kind: "reset" });
    link.suffer();
  };

  test("watches an order to its end without gap or repetition", async () => {
    const { productId } = await addProduct(admin);
    const { order } = await client.orders.createOrder({ items: [{ productId, quantity: 1 }] });
    const { orderId } = await decided(admin, order!);
    const next = new Map<OrderStatus, OrderStatus>([
      [CONFIRMED, SHIPPED],
      [SHIPPED, DELIVERED],
      [DELIVERED, RETURNED],
    ]);
    const received: [number, OrderStatus][] = [];
    for await (const { order, event } of client.watchOrder(orderId, { after: 1 })) {
      received.push([event.version, order.status]);
      breakConnections();
      const status = next.get(order.status);
      if (status !== undefined) await admin.orders.updateOrderStatus({ orderId, status });
    }
    expect(received).toEqual([
      [2, CONFIRMED],
      [3, SHIPPED],
      [4, DELIVERED],
      [5, RETURNED],
    ]);
  });

  test("watches a product's stock without gap or repetition", async () => {
    const { productId } = await addProduct(admin, { stock: 1 });
    const received: [number, number][] = [];
    for await (const { sequence, onHand } of client.watchStock(productId)) {
      received.push([sequence, onHand]);
      if (received.length === 5) break;
      breakConnections();
      // Two at a time: one of them may happen before the watch has reconnected.
      if (sequence % 2 === 0) continue;
      for (const onHandDelta of [1, 1]) await admin.inventory.adjustStock({ productId, onHandDelta, reason: "found" });
    }
    expect(received).toEqual([1, 2, 3, 4, 5].map((sequence) => [sequence, sequence]));
  });

  test("places an order once, although its answer was lost", async () => {
    const { productId } = await addProduct(admin);
    link.suffer({ kind: "mute" });
    const placing = client.orders.createOrder({ items: [{ productId, quantity: 1 }] });
    const stored = await eventually(async () => {
      const { orders } = await admin.orders.listOrders({ userId });
      expect(orders).toHaveLength(1);
      return orders[0]!;
    });
    breakConnections();
    expect((await placing).order!.orderId).toBe(stored.orderId);
    const { orders } = await client.orders.getOrdersByUser({});
    expect(orders.map(({ orderId }) => orderId)).toEqual([stored.orderId]);
  });
});

test("a revoked access token is renewed once for all calls, and no call fails", async () => {
  let renewals = 0;
  const transport = createConnectTransport({
    baseUrl: shop.url,
    fetch: (url, init) => {
      if (String(url).endsWith("/RefreshToken")) renewals++;
      return fetch(url, init);
    },
  });
  const client = createShop({ transport });
  const userId = await signUpWith(client);
  await admin.users.setRoles({ userId, roles: [Role.CUSTOMER, Role.ADMIN] });
  const failed: unknown[] = [];
  await eventually(async () => {
    await Promise.all(Array.from({ length: 10 }, () => client.orders.getOrdersByUser({}).catch((e) => failed.push(e))));
    expect(renewals).toBe(1);
  });
  expect(failed).toEqual([]);
  expect((await client.users.listUsers({ pageSize: 1 })).users).toHaveLength(1);
  // Other tests rely on the number of administrators.
  await admin.users.setRoles({ userId, roles: [Role.CUSTOMER] });
});
