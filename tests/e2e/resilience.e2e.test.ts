import { InventoryService, type Product } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Order, OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { isAlive, type RunEntry, runningProcesses } from "../setup/shop.ts";
import { type Call, type CallFailed, protocols } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { refusalOf } from "./refusal.ts";
import {
  type Account,
  addProduct,
  anonymous,
  decided,
  password,
  placeOrder,
  shop,
  signIn,
  signInAdmin,
  signUp,
  stockOf,
  unique,
} from "./shopping.ts";

// Takes about a minute: after each kill everything has to be back before the next.
//
// Kills only processes of this project's running shop, by their ids in its run.json.
const { CONFIRMED } = OrderStatus;
const backTimeoutMs = 30_000;
const convergeTimeoutMs = 45_000;
/** The process that hosts a service. */
const hostOf = (service: string) => (shop.topology === "split" ? service : "all-in-one");

let admin: Account;
let names: readonly string[];

beforeAll(async () => {
  admin = await signInAdmin();
  names = runningNames();
});

afterEach(async () => {
  await untilAllIsBack();
}, 60_000);

function runningNames(): string[] {
  return runningProcesses(shop.dataDir)
    .map(({ name }) => name)
    .sort();
}

function processOf(name: string): RunEntry {
  const entry = runningProcesses(shop.dataDir).find((candidate) => candidate.name === name);
  if (entry === undefined) throw new Error(`${name} does not run just now`);
  return entry;
}

/** Kills a process with SIGKILL, and returns its id. */
function kill(name: string): number {
  const { pid } = processOf(name);
  process.kill(pid, "SIGKILL");
  return pid;
}

async function untilRestarted(name: string, killed: number): Promise<void> {
  await eventually(() => expect(processOf(name).pid).not.toBe(killed), { timeoutMs: backTimeoutMs });
}

async function untilAllIsBack(): Promise<void> {
  await eventually(
    async () => {
      expect(runningNames()).toEqual(names);
      expect(runningProcesses(shop.dataDir).filter(({ pid }) => !isAlive(pid))).toEqual([]);
      expect((await fetch(`${shop.url}/readyz`, { signal: AbortSignal.timeout(3_000) })).status).toBe(200);
    },
    { timeoutMs: backTimeoutMs },
  );
}

test("the gateway is ready only while an order could be placed", async () => {
  const readiness = async () => (await fetch(`${shop.url}/readyz`, { signal: AbortSignal.timeout(5_000) })).status;
  expect(await readiness()).toBe(200);
  // Paused, because the starter would restart a killed one before the check.
  const { pid } = processOf("mongodb");
  process.kill(pid, "SIGSTOP");
  try {
    expect(await readiness()).toBe(503);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await eventually(async () => expect(await readiness()).toBe(200), { timeoutMs: backTimeoutMs });
}, 60_000);

/** All orders of a buyer, once none is pending. */
async function allDecided(buyer: Account): Promise<Order[]> {
  const { orders } = await eventually(() => buyer.orders.getOrdersByUser({ pageSize: 100 }), {
    timeoutMs: convergeTimeoutMs,
  });
  return await Promise.all(orders.map((order) => decided(buyer, order, convergeTimeoutMs)));
}

/** Places orders of one unit each concurrently. Returns the accepted ones, and the error codes of the others. */
async function buyMany(buyer: Account, product: Product, count: number) {
  const accepted: Order[] = [];
  const refused = new Set<string>();
  const buyOne = async () => {
    const order = placeOrder(buyer, [product, 1]);
    const { code } = await refusalOf(order);
    if (code === "answered") accepted.push(await order);
    else refused.add(code);
  };
  await Promise.all(Array.from({ length: count }, buyOne));
  return { accepted, refused };
}

/** Accepted orders are confirmed, and the stock is 100 less the confirmed units. */
async function expectAllKept(buyer: Account, product: Product, accepted: readonly Order[]) {
  for (const order of accepted) {
    await eventually(async () => expect((await decided(buyer, order, 100)).status).toBe(CONFIRMED), {
      timeoutMs: convergeTimeoutMs,
    });
  }
  const orders = await allDecided(buyer);
  expect(orders.map(({ orderId }) => orderId)).toEqual(expect.arrayContaining(accepted.map(({ orderId }) => orderId)));
  const confirmed = orders.filter(({ status }) => status === CONFIRMED).length;
  await eventually(async () => expect(await stockOf(product)).toBe(100 - confirmed));
}

describe("while Redis is gone", () => {
  test("every read is correct, and stays correct when it is back", { timeout: 60_000 }, async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 100, description: "0" });
    const { productId } = product;
    const read = async () => (await anonymous.inventory.getProductByID({ productId })).product!;
    await read();
    let version = 0;
    for (let death = 0; death < 3; death++) {
      const killed = kill("redis");
      let back = false;
      void untilRestarted("redis", killed).then(() => (back = true));
      // Continues until after it is back, so that the first fills of the new one are covered too.
      for (let more = 20; more > 0; more -= back ? 1 : 0) {
        version++;
        await admin.inventory.updateProduct({
          product: { productId, description: `${version}` },
          updateMask: { paths: ["description"] },
        });
        expect((await read()).description).toBe(`${version}`);
        expect((await read()).description).toBe(`${version}`);
      }
    }
    await decided(buyer, await placeOrder(buyer, [product, 1]));
    expect((await read()).stock).toBe(99);
  });

  test("and when it hangs, reads are correct and take less than two seconds", {
    timeout: 60_000,
  }, async () => {
    const product = await addProduct(admin, { description: "before" });
    const { productId } = product;
    const impatient = { timeoutMs: 3_000 };
    const read = async () => (await anonymous.inventory.getProductByID({ productId }, impatient)).product!.description;
    await read();
    const { pid } = processOf("redis");
    process.kill(pid, "SIGSTOP");
    try {
      await admin.inventory.updateProduct(
        { product: { productId, description: "after" }, updateMask: { paths: ["description"] } },
        impatient,
      );
      const startedAt = performance.now();
      expect(await read()).toBe("after");
      expect(performance.now() - startedAt).toBeLessThan(2_000);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    // The condition holds at every moment, also once the resumed Redis answers again.
    for (let reads = 0; reads < 50; reads++) expect(await read()).toBe("after");
  });
});

describe("orders that were accepted right before and while", () => {
  test("NATS was killed are confirmed once it is back", { timeout: 120_000 }, async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 100 });
    const before = await buyMany(buyer, product, 10);
    const killed = kill("nats");
    const during = await buyMany(buyer, product, 10);
    expect(before.refused).toEqual(new Set());
    expect([...during.refused].filter((code) => !["Unavailable", "ResourceExhausted"].includes(code))).toEqual([]);
    await untilRestarted("nats", killed);
    await expectAllKept(buyer, product, [...before.accepted, ...during.accepted]);
  });

  test("NATS hangs are decided without it, and stay decided when it is back", { timeout: 120_000 }, async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 100 });
    const scarce = await addProduct(admin, { stock: 0 });
    const { pid } = processOf("nats");
    process.kill(pid, "SIGSTOP");
    let accepted: Order[];
    try {
      accepted = [await placeOrder(buyer, [product, 2]), await placeOrder(buyer, [product, 1])];
      const refused = await placeOrder(buyer, [scarce, 1]);
      for (const order of accepted) expect((await decided(buyer, order)).status).toBe(CONFIRMED);
      expect((await decided(buyer, refused)).statusReason).toContain("0 left, 1 wanted");
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await untilAllIsBack();
    // Its delayed events arrive, and a new order's event arrives after them.
    await decided(buyer, await placeOrder(buyer, [product, 1]), convergeTimeoutMs);
    for (const order of accepted) expect((await decided(buyer, order)).status).toBe(CONFIRMED);
    expect(await stockOf(product)).toBe(96);
  });

  test.for(["inventory", "orders"].filter((service) => shop.topology === "split" || service === "inventory"))(
    "the process of %s was killed are confirmed once it is back",
    { timeout: 120_000 },
    async (service) => {
      const buyer = await signUp();
      const product = await addProduct(admin, { stock: 100 });
      const before = await buyMany(buyer, product, 20);
      const killed = kill(hostOf(service));
      expect(before.refused).toEqual(new Set());
      await untilRestarted(hostOf(service), killed);
      await expectAllKept(buyer, product, before.accepted);
    },
  );

  test("the process of orders was killed in the middle of them are confirmed or were never answered", {
    timeout: 120_000,
  }, async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 100 });
    const buying = buyMany(buyer, product, 40);
    await eventually(async () => {
      expect((await buyer.orders.getOrdersByUser({})).orders.length).toBeGreaterThan(0);
    });
    kill(hostOf("orders"));
    const { accepted, refused } = await buying;
    expect([...refused].filter((code) => !["Unavailable", "Unknown", "Internal"].includes(code))).toEqual([]);
    await expectAllKept(buyer, product, accepted);
  });

  test("MongoDB was killed are confirmed once it is back, and the others were answered UNAVAILABLE", {
    timeout: 120_000,
  }, async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 100 });
    const before = await buyMany(buyer, product, 10);
    const killed = kill("mongodb");
    const during = await buyMany(buyer, product, 10);
    expect([...during.refused].filter((code) => !["Unavailable", "DeadlineExceeded"].includes(code))).toEqual([]);
    await untilRestarted("mongodb", killed);
    await expectAllKept(buyer, product, [...before.accepted, ...during.accepted]);
  });
});

test("a cancellation right before inventory is killed releases the stock once it is back", {
  timeout: 120_000,
}, async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 10 });
  const order = await placeOrder(buyer, [product, 6]);
  await decided(buyer, order);
  await admin.orders.cancelOrder({ orderId: order.orderId, reason: "a test" });
  const killed = kill(hostOf("inventory"));
  await untilRestarted(hostOf("inventory"), killed);
  await eventually(async () => expect(await stockOf(product)).toBe(10), { timeoutMs: convergeTimeoutMs });
});

test("a token stays valid when the users service is killed, and while it is down where the keys are cached", {
  timeout: 60_000,
}, async () => {
  const shopper = await signUp();
  await shopper.orders.getOrdersByUser({});
  const killed = kill(hostOf("users"));
  if (shop.topology === "split") expect((await refusalOf(shopper.orders.getOrdersByUser({}))).code).toBe("answered");
  await untilRestarted(hostOf("users"), killed);
  await untilAllIsBack();
  expect((await refusalOf(shopper.orders.getOrdersByUser({}))).code).toBe("answered");
  expect((await refusalOf(shopper.users.getUserProfile({ userId: shopper.userId }))).code).toBe("answered");
  expect((await signIn(shopper.username)).userId).toBe(shopper.userId);
});

describe("watches of an order end at once, and resume where they were,", () => {
  const processes = [...new Set([hostOf("orders"), hostOf("gateway")])];

  test.for(processes)("when the process of %s gets SIGTERM", { timeout: 90_000 }, async (host) => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 10 });
    const { orderId } = await decided(buyer, await placeOrder(buyer, [product, 1]));
    const clients = Object.values(protocols).map((protocol) => protocol(shop.url));
    const watch = (client: (typeof clients)[number], afterVersion: number) =>
      client.stream({
        method: OrderService.method.watchOrder,
        request: { orderId, afterVersion },
        headers: buyer.headers,
      });
    const watches = clients.map((client) => watch(client, 0));
    for (const answers of watches) await answers.next();

    const { pid } = processOf(host);
    const startedAt = performance.now();
    process.kill(pid, "SIGTERM");
    const ends = await Promise.allSettled(watches.map((answers) => answers.next()));
    await eventually(() => expect(isAlive(pid)).toBe(false));
    // Far less than the ten seconds that calls in progress have.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    for (const [index, end] of ends.entries()) {
      expect(end.status, clients[index]!.name).toBe("rejected");
      // A forwarder can't end a stream with an error of its own: it breaks off.
      if (host === "gateway") continue;
      const { error } = (end as { reason: CallFailed }).reason;
      expect(error, clients[index]!.name).toMatchObject({ code: "Unavailable", reason: "SERVICE_STOPPING" });
    }

    await untilRestarted(host, pid);
    await untilAllIsBack();
    await admin.orders.cancelOrder({ orderId, reason: "a test" });
    for (const client of clients) {
      const rest = await Array.fromAsync(watch(client, 2));
      expect(rest, client.name).toMatchObject([{ order: { version: 3, status: "ORDER_STATUS_CANCELLED" } }]);
      client.close();
    }
  });
});

describe("while a part hangs, every unary call through the gateway ends in time, in every protocol,", () => {
  const mostMs = { read: 5_000, write: 6_000 };
  const parts = ["mongodb", "nats", "redis", ...(shop.topology === "split" ? ["users", "inventory", "orders"] : [])];

  test.for(parts)("%s", { timeout: 120_000 }, async (part) => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 1_000 });
    const { productId } = product;
    const { orderId } = await placeOrder(buyer, [product, 1]);
    const mine = buyer.headers;
    // Not cached when they are requested.
    const uncached = await addProduct(admin);
    const calls: Record<keyof typeof mostMs, Call[]> = {
      read: [
        { method: UserService.method.getUserProfile, request: { userId: buyer.userId }, headers: mine },
        { method: InventoryService.method.getProductByID, request: { productId: uncached.productId } },
        { method: InventoryService.method.getProductByID, request: { productId } },
        { method: InventoryService.method.listProducts, request: { query: unique("word") } },
        { method: OrderService.method.getOrdersByUser, request: {}, headers: mine },
        { method: OrderService.method.getOrderByID, request: { orderId }, headers: mine },
      ],
      write: [
        {
          method: UserService.method.updateUserProfile,
          request: { profile: { userId: buyer.userId, displayName: "Ada" }, updateMask: "displayName" },
          headers: mine,
        },
        { method: UserService.method.authenticate, request: { username: buyer.username, password } },
        {
          method: InventoryService.method.adjustStock,
          request: { productId, onHandDelta: 1, reason: "counted again" },
          headers: admin.headers,
        },
        { method: OrderService.method.createOrder, request: { items: [{ productId, quantity: 1 }] }, headers: mine },
      ],
    };
    const clients = Object.values(protocols).map((protocol) => protocol(shop.url));
    const measure = async (kind: keyof typeof mostMs, client: (typeof clients)[number], call: Call) => {
      const startedAt = performance.now();
      const outcome = await client.call(call);
      const tookMs = performance.now() - startedAt;
      const error = "error" in outcome ? outcome.error : undefined;
      return { what: `${kind} ${call.method.name} by ${client.name}`, kind, tookMs, error };
    };

    const { pid } = processOf(part);
    process.kill(pid, "SIGSTOP");
    try {
      const all = clients.flatMap((client) =>
        (["read", "write"] as const).flatMap((kind) => calls[kind].map((call) => measure(kind, client, call))),
      );
      const ends = await Promise.all(all);
      expect(ends.filter(({ kind, tookMs }) => tookMs > mostMs[kind])).toEqual([]);
      expect(ends.filter(({ kind, error }) => kind === "read" && error?.message.includes("may have"))).toEqual([]);
      const codes = ["Unavailable", "ResourceExhausted", "Aborted"];
      expect(ends.filter(({ error }) => error !== undefined && !codes.includes(error.code))).toEqual([]);
      if (!["nats", "redis"].includes(part)) expect(ends.filter(({ error }) => error !== undefined)).not.toEqual([]);

      // The caller's own deadline holds, too.
      const startedAt = performance.now();
      const headers = { ...mine, "content-type": "application/json", "connect-timeout-ms": "800" };
      const body = JSON.stringify({ userId: buyer.userId });
      const [overRest, overConnect] = await Promise.all([
        fetch(`${shop.url}/profile/${buyer.userId}`, { headers }),
        fetch(`${shop.url}/${UserService.typeName}/GetUserProfile`, { method: "POST", headers, body }),
      ]);
      expect(performance.now() - startedAt).toBeLessThan(1_500);
      if (["users", "mongodb"].includes(part)) expect([overRest.status, overConnect.status]).toEqual([504, 504]);
    } finally {
      process.kill(pid, "SIGCONT");
      for (const client of clients) client.close();
    }
  });
});
