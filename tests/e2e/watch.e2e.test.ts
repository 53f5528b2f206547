import type { JsonObject } from "@bufbuild/protobuf";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linesOf, type ProtocolClient, protocols } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { type Account, addProduct, decided, placeOrder, shop, signInAdmin, signUp } from "./shopping.ts";

const { SHIPPED, DELIVERED, RETURNED } = OrderStatus;
const { watchOrder } = OrderService.method;
const { watchStock } = InventoryService.method;
/** The default of ORDER_WATCHES_PER_CALLER. */
const watchesPerCaller = 100;

let admin: Account;
let buyer: Account;

beforeAll(async () => {
  [admin, buyer] = await Promise.all([signInAdmin(), signUp()]);
});

const ship = async (orderId: string, ...statuses: OrderStatus[]) => {
  for (const status of statuses) await admin.orders.updateOrderStatus({ orderId, status, reason: "as it goes" });
};
const receive = (productId: string, onHandDelta: number) =>
  admin.inventory.adjustStock({ productId, onHandDelta, reason: "found behind the shelf" });

/** Heartbeats are skipped. */
async function* news(client: ProtocolClient, call: Parameters<ProtocolClient["stream"]>[0]) {
  for await (const answer of client.stream(call))
    if (Object.keys(answer as JsonObject).length > 0) yield answer as JsonObject;
}

const changeOf = ({ order, event }: JsonObject) => {
  const { version, status } = order as JsonObject;
  expect(event).toMatchObject({ version, status });
  return `${version} ${status}`.replace("ORDER_STATUS_", "");
};
const availableOf = ({ stock }: JsonObject) => {
  const { sequence, onHand, available } = stock as JsonObject;
  return [sequence, onHand, available];
};

describe.for(Object.keys(protocols))("with %s", (protocol) => {
  let client: ProtocolClient;
  beforeAll(() => {
    client = protocols[protocol]!(shop.url);
  });
  afterAll(() => client.close());

  test("an order is watched until its final status, and from any version", async () => {
    const { orderId } = await placeOrder(buyer, [await addProduct(admin), 1]);
    const watch = (afterVersion: number) =>
      news(client, { method: watchOrder, request: { orderId, afterVersion }, headers: buyer.headers });
    const received: string[] = [];
    for await (const answer of watch(0)) {
      received.push(changeOf(answer));
      if (received.at(-1) === "2 CONFIRMED") await ship(orderId, SHIPPED);
      if (received.at(-1) === "3 SHIPPED") await ship(orderId, DELIVERED, RETURNED);
    }
    const all = ["1 PENDING", "2 CONFIRMED", "3 SHIPPED", "4 DELIVERED", "5 RETURNED"];
    // The order may be decided before the watch began.
    expect(received).toEqual(all.slice(-received.length));
    expect(received.length).toBeGreaterThanOrEqual(4);
    for (const version of [1, 3, 5]) {
      const rest = await Array.fromAsync(watch(version));
      expect(rest.map(changeOf)).toEqual(all.slice(version));
    }
  });

  test("a product's stock can be watched without an account, and from any sequence", async () => {
    const product = await addProduct(admin, { stock: 10 });
    const { productId } = product;
    const watch = (afterSequence: number) =>
      news(client, { method: watchStock, request: { productId, afterSequence } });
    const stocks = watch(0);
    const next = async (watched = stocks) => availableOf((await watched.next()).value!);
    expect(await next()).toEqual([1, 10, 10]);
    await receive(productId, 5);
    expect(await next()).toEqual([2, 15, 15]);
    await decided(buyer, await placeOrder(buyer, [product, 4]));
    expect(await next()).toEqual([3, 15, 11]);
    await stocks.return();
    await receive(productId, -1);

    const resumed = watch(2);
    expect(await next(resumed)).toEqual([3, 15, 11]);
    expect(await next(resumed)).toEqual([4, 14, 10]);
    await resumed.return();
  });

  test("a watch is released when its caller disconnects", async () => {
    const watcher = await signUp();
    const { orderId } = await placeOrder(watcher, [await addProduct(admin), 1]);
    const open = async () => {
      const watch = news(client, { method: watchOrder, request: { orderId }, headers: watcher.headers });
      await watch.next();
      return watch;
    };
    const atOnce = () => Promise.all(Array.from({ length: watchesPerCaller / 2 + 1 }, open));
    // The second half exceeds the limit of an account, unless the first was released.
    for (const watch of await atOnce()) await watch.return();
    await eventually(async () => {
      for (const watch of await atOnce()) await watch.return();
    });
  });
});

describe("REST", () => {
  test("watches as Server-Sent Events, which announce their end", async () => {
    const { orderId } = await decided(buyer, await placeOrder(buyer, [await addProduct(admin), 1]));
    const headers = { ...buyer.headers, accept: "text/event-stream" };
    const response = await fetch(`${shop.url}/orders/${orderId}:watch?after_version=1`, { headers });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const lines: string[] = [];
    for await (const line of linesOf(response.body!)) {
      if (line === "") continue;
      lines.push(line);
      if (lines.length === 3) await ship(orderId, SHIPPED, DELIVERED, RETURNED);
    }
    const versions = lines.flatMap((line) => /"version":(\d+).*"event"/.exec(line)?.[1] ?? []);
    expect(versions).toEqual(["2", "3", "4", "5"]);
    expect(lines.flatMap((line) => /^id: (\d+)$/.exec(line)?.[1] ?? [])).toEqual(versions);
    expect(lines[0]).toMatch(/^retry: \d+$/);
    expect(lines.slice(-2)).toEqual(["event: end", "data: {}"]);
    expect(response.headers.get("x-accel-buffering")).toBe("no");

    const resume = async (path: string, lastEventId: string) => {
      const resumed = { ...headers, "last-event-id": lastEventId };
      const { status, body } = await fetch(`${shop.url}${path}`, { headers: resumed });
      const rest = body === null ? [] : await Array.fromAsync(linesOf(body));
      return { status, ids: rest.flatMap((line) => /^id: (\d+)$/.exec(line)?.[1] ?? []) };
    };
    const path = `/orders/${orderId}:watch`;
    expect(await resume(`${path}?after_version=1`, "3")).toEqual({ status: 200, ids: ["4", "5"] });
    expect(await resume(path, "5")).toEqual({ status: 204, ids: [] });
    for (const wrong of ["five", "0x3", "-1", "99999999999"]) expect((await resume(path, wrong)).status).toBe(400);
  });

  test("accepts a ticket in the query for its stream only, and until its owner signs out", async () => {
    const shopper = await signUp();
    const { orderId } = await decided(shopper, await placeOrder(shopper, [await addProduct(admin), 1]));
    const path = `/orders/${orderId}:watch`;
    const { ticket, expiresInSeconds } = await shopper.users.createStreamTicket({ path });
    expect(expiresInSeconds).toBeGreaterThan(500);
    const ask = async (target: string, init: RequestInit = {}) => {
      const leave = new AbortController();
      const response = await fetch(`${shop.url}${target}`, { ...init, signal: leave.signal });
      const line = response.ok ? (await linesOf(response.body!).next()).value : undefined;
      leave.abort();
      return [response.status, line && (JSON.parse(String(line)) as { order: { order_id: string } }).order.order_id];
    };
    const inQuery = `access_ticket=${ticket}`;
    expect(await ask(`${path}?${inQuery}`)).toEqual([200, orderId]);
    expect(await ask(`${path}?after_version=1&${inQuery}`)).toEqual([200, orderId]);
    // The path is compared in normal form.
    expect(await ask(`/orders/${orderId}%3Awatch?${inQuery}`)).toEqual([200, orderId]);

    const other = await decided(shopper, await placeOrder(shopper, [await addProduct(admin), 1]));
    for (const [target, init] of [
      [`/orders/${other.orderId}:watch?${inQuery}`],
      [`/orders/${other.orderId}:watch`, { headers: { authorization: `Ticket ${path} ${ticket}` } }],
      [`/orders/${orderId}?${inQuery}`],
      [`/orders?${inQuery}`],
      ["/orders", { headers: { authorization: `Bearer ${ticket}` } }],
      [`${path}?access_ticket=none`],
      [`${path}?access_ticket=${shopper.headers.authorization.slice("Bearer ".length)}`],
    ] as const)
      expect(await ask(target, init)).toEqual([401, undefined]);

    await shopper.users.signOut({});
    await eventually(async () => expect((await ask(`${path}?${inQuery}`))[0]).toBe(401));
  });

  test("answers 404 for an order that does not exist", async () => {
    const response = await fetch(`${shop.url}/orders/order_01h455vb4pex5vsknk084sn02q:watch`, {
      headers: buyer.headers,
    });
    expect(response.status).toBe(404);
  });
});
