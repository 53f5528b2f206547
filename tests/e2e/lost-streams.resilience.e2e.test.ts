import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { type Order, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import { natsServers } from "@shop/messaging";
import { afterEach, beforeAll, expect, test } from "vitest";
import { operatorUrls, runningProcesses } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";
import {
  type Account,
  addProduct,
  decided,
  placeOrder,
  shop,
  signIn,
  signInAdmin,
  signUp,
  stockOf,
} from "./shopping.ts";

// Deletes streams, consumers and the whole NATS store of this project's running shop.
const streams = ["orders", "inventory", "users", "access-revocations", "dead-letters"];
const againWithinMs = 10_000;
const backTimeoutMs = 45_000;
/** Processes that verify tokens. */
const checking = shop.topology === "split" ? ["inventory", "orders", "users"] : ["all-in-one"];
const portOf = shop.topology === "split" ? shop.ordersUrl : shop.url;

let admin: Account;

beforeAll(async () => {
  admin = await signInAdmin();
});

afterEach(async () => {
  await eventually(async () => expect((await readiness()).status).toBe(200), { timeoutMs: backTimeoutMs });
}, 60_000);

const processOf = (name: string) => runningProcesses(shop.dataDir).find((entry) => entry.name === name);

/** Uses a connection of its own, because the one to a replaced server is broken. */
async function onJetStream<Result>(work: (jetstream: JetStreamManager) => Promise<Result>): Promise<Result> {
  const connection = await connect(natsServers(operatorUrls(shop.dataDir).NATS_URL));
  try {
    return await work(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}

/** The readiness of a process that is connected to NATS. */
async function readiness(): Promise<{ status: number; missing: string }> {
  const answer = await fetch(`${portOf}/readyz`, { signal: AbortSignal.timeout(5_000) });
  return { status: answer.status, missing: ((await answer.json()) as { missing?: string[] }).missing?.join() ?? "" };
}

async function durablesOf(jetstream: JetStreamManager): Promise<string[]> {
  const found: string[] = [];
  for (const stream of streams) {
    const consumers = await jetstream.consumers.list(stream).next();
    found.push(...consumers.flatMap(({ config }) => config.durable_name ?? []));
  }
  return found.toSorted();
}

/** The number of followers of revocations: each process that verifies tokens has an ephemeral consumer. */
async function followers(jetstream: JetStreamManager): Promise<number> {
  return (await jetstream.consumers.list("access-revocations").next()).length;
}

async function untilAllIsAgain(durables: readonly string[]): Promise<void> {
  await eventually(
    () =>
      onJetStream(async (jetstream) => {
        expect(await durablesOf(jetstream)).toEqual(durables);
        for (const stream of streams) await jetstream.streams.info(stream);
        expect(await followers(jetstream)).toBeGreaterThanOrEqual(checking.length);
      }),
    { timeoutMs: againWithinMs, everyMs: 100 },
  );
}

/** A confirmed order of 4 of 10 units. */
async function confirmedOrder() {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 10 });
  const order = await decided(buyer, await placeOrder(buyer, [product, 4]), backTimeoutMs);
  expect(order.status).toBe(OrderStatus.CONFIRMED);
  return { buyer, product, order };
}

/** Cancels an order; resolves once the stream has the event, which inventory does not get. */
async function cancelUnheard(order: Order, buyer: Account): Promise<void> {
  await onJetStream(async (jetstream) => {
    await jetstream.consumers.pause("orders", "inventory-order-cancelled", new Date(Date.now() + 600_000));
    const published = async () =>
      (await jetstream.streams.info("orders", { subjects_filter: "shop.orders.v1.OrderCancelled" })).state.subjects?.[
        "shop.orders.v1.OrderCancelled"
      ] ?? 0;
    const before = await published();
    await buyer.orders.cancelOrder({ orderId: order.orderId });
    await eventually(async () => expect(await published()).toBeGreaterThan(before));
  });
}

/** A signed-out customer and a demoted administrator, both with their earlier tokens. */
async function revokedAccounts(): Promise<readonly Account[]> {
  const signedOut = await signUp();
  const { username, userId } = await signUp();
  await admin.users.setRoles({ userId, roles: [Role.CUSTOMER, Role.ADMIN] });
  const demoted = await signIn(username);
  await signedOut.users.signOut({});
  await admin.users.setRoles({ userId, roles: [Role.CUSTOMER] });
  for (const account of [signedOut, demoted]) await eventually(async () => expect(await statusFor(account)).toBe(401));
  return [signedOut, demoted];
}

async function statusFor({ headers }: Account): Promise<number> {
  return (await fetch(`${shop.ordersUrl}/orders`, { headers })).status;
}

/** Kills the processes that verify tokens, so that they forget revocations. */
async function restartChecking(): Promise<void> {
  const killed = checking.map((name) => processOf(name)!);
  for (const { pid } of killed) process.kill(pid, "SIGKILL");
  await eventually(
    async () => {
      for (const { name, pid } of killed) expect(processOf(name)?.pid ?? pid).not.toBe(pid);
      for (const port of [shop.usersUrl, shop.inventoryUrl, shop.ordersUrl, shop.url]) {
        expect((await fetch(`${port}/readyz`, { signal: AbortSignal.timeout(5_000) })).status).toBe(200);
      }
    },
    { timeoutMs: backTimeoutMs, everyMs: 100 },
  );
}

async function expectStockBack(product: Parameters<typeof stockOf>[0]): Promise<void> {
  await eventually(async () => expect(await stockOf(product)).toBe(10), { timeoutMs: backTimeoutMs });
}

test("deleted consumers are recreated within ten seconds, and their pending events are handled", {
  timeout: 120_000,
}, async () => {
  const { buyer, product, order } = await confirmedOrder();
  await cancelUnheard(order, buyer);
  const durables = await onJetStream(durablesOf);
  await onJetStream(async (jetstream) => {
    for (const stream of streams) {
      for await (const { name } of jetstream.consumers.list(stream)) await jetstream.consumers.delete(stream, name);
    }
  });
  await eventually(async () => expect(await readiness()).toMatchObject({ status: 503 }), { timeoutMs: againWithinMs });
  await untilAllIsAgain(durables);
  await expectStockBack(product);
  const next = await decided(buyer, await placeOrder(buyer, [product, 1]), backTimeoutMs);
  expect(next.status).toBe(OrderStatus.CONFIRMED);
});

test("deleted streams are recreated within ten seconds, and their events are recovered", {
  timeout: 180_000,
}, async () => {
  const { buyer, product, order } = await confirmedOrder();
  const revoked = await revokedAccounts();
  const durables = await onJetStream(durablesOf);
  await cancelUnheard(order, buyer);
  await onJetStream(async (jetstream) => {
    for (const stream of streams) await jetstream.streams.delete(stream);
  });
  await eventually(
    async () => expect(await readiness()).toEqual({ status: 503, missing: expect.stringContaining("stream") }),
    { timeoutMs: againWithinMs },
  );
  await untilAllIsAgain(durables);
  await expectStockBack(product);
  await eventually(async () => expect((await readiness()).status).toBe(200), { timeoutMs: backTimeoutMs });
  await restartChecking();
  for (const account of revoked) expect(await statusFor(account)).toBe(401);
});

test("a NATS that comes back with an empty store loses neither cancellations nor revocations, nor events of its downtime", {
  timeout: 180_000,
}, async () => {
  const [before, meanwhile] = [await confirmedOrder(), await confirmedOrder()];
  const revoked = await revokedAccounts();
  const late = await signUp();
  const durables = await onJetStream(durablesOf);
  await cancelUnheard(before.order, before.buyer);

  const { pid } = processOf("nats")!;
  process.kill(pid, "SIGSTOP");
  await rm(join(shop.dataDir, "nats/jetstream"), { recursive: true });
  const signingOut = late.users.signOut({});
  const cancelling = meanwhile.buyer.orders.cancelOrder({ orderId: meanwhile.order.orderId });
  await Promise.all([signingOut, cancelling]);
  process.kill(pid, "SIGKILL");
  await eventually(() => expect(processOf("nats")?.pid ?? pid).not.toBe(pid), { timeoutMs: backTimeoutMs });

  await untilAllIsAgain(durables);
  for (const { product } of [before, meanwhile]) await expectStockBack(product);
  await eventually(async () => expect(await statusFor(late)).toBe(401), { timeoutMs: backTimeoutMs });
  await eventually(async () => expect((await readiness()).status).toBe(200), { timeoutMs: backTimeoutMs });
  await restartChecking();
  for (const account of [...revoked, late]) expect(await statusFor(account)).toBe(401);
});
