import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePorts, startInfra } from "@shop/tools/infra";
import { shopAccounts } from "@shop/tools/shop-accounts";
import { defaultPorts } from "@shop/topology";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../e2e/eventually.ts";
import { ownEnvironment } from "../setup/own-environment.ts";
import { isAlive } from "../setup/shop.ts";

// The shop in one process with two workers, and without configured secrets: generated ones have to be the same in both.
// Every call opens its own connection, so that calls alternate between both.

const root = join(import.meta.dirname, "../..");
const dataDir = await mkdtemp(join(tmpdir(), "shop-workers-"));
const logFile = join(dataDir, "all-in-one.log");
const admin = { username: "the.admin", password: randomBytes(12).toString("base64url") };
const cleanUp: (() => unknown)[] = [() => rm(dataDir, { recursive: true, force: true })];
const slowly = { timeoutMs: 60_000 };
let shop: ChildProcess;
let url: string;
let metricsUrl: string;

interface Line {
  readonly msg: string;
  readonly worker?: number;
  readonly pid?: number;
}

const lines = (): Line[] =>
  readFileSync(logFile, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line));
const pidOf = (worker: number) =>
  lines().findLast((line) => line.msg === "a worker is ready" && line.worker === worker)!.pid!;

beforeAll(async () => {
  const variables = [...Object.keys(defaultPorts), "METRICS_PORT"];
  const chosen = await choosePorts(join(dataDir, "ports.json"), Object.fromEntries(variables.map((name) => [name, 1])));
  const ports = Object.fromEntries(variables.map((name) => [name, String(chosen[name]![0])]));
  const servers = await startInfra({
    dataDir,
    accounts: shopAccounts,
    env: ownEnvironment(),
    avoidPorts: Object.values(chosen).flat(),
  });
  cleanUp.unshift(() => servers.stop());
  shop = spawn(process.execPath, [join(root, "services/all-in-one/src/main.ts")], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...ownEnvironment(),
      ...ports,
      ...servers.environmentOf("all-in-one"),
      TOKEN_KEYS_SECRET: "",
      ADMIN_USERNAME: admin.username,
      ADMIN_PASSWORD: admin.password,
      TAKEOVER_SECONDS: "1",
      NODE_COMPILE_CACHE: join(tmpdir(), "shop-compile-cache"),
      WORKERS: "2",
    },
  });
  shop.stdout!.pipe(createWriteStream(logFile));
  cleanUp.unshift(async () => {
    shop.kill("SIGKILL");
    if (shop.exitCode === null && shop.signalCode === null) await once(shop, "exit");
  });
  url = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
  metricsUrl = `http://127.0.0.1:${ports.METRICS_PORT}/metrics`;
  await eventually(() => expect(lines().map(({ msg }) => msg)).toContain("ready"), slowly);
}, 120_000);

afterAll(async () => {
  for (const one of cleanUp) await one();
}, 60_000);

// biome-ignore lint/suspicious/noExplicitAny: an answer in JSON.
type Answer = any;

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { connection: "close", "content-type": "application/json", ...headers },
    signal: AbortSignal.timeout(15_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as Answer;
}

async function signIn(account: typeof admin): Promise<{ authorization: string }> {
  return { authorization: `Bearer ${(await call("POST", "/authenticate", account)).access_token}` };
}

async function signUp(): Promise<{ authorization: string }> {
  const account = { username: `shopper-${randomBytes(6).toString("hex")}`, password: "correct horse battery" };
  await call("POST", "/register", account);
  return await signIn(account);
}

async function addProduct(stock: number): Promise<string> {
  const details = { name: "Teapot", category: "Kitchen", price: { currency_code: "EUR", minor_units: "1250" }, stock };
  return (await call("POST", "/products", details, await signIn(admin))).product_id;
}

/** Places an order twice concurrently; returns both results. */
async function placeTwice(buyer: { authorization: string }, productId: string): Promise<string> {
  const headers = { ...buyer, "idempotency-key": randomBytes(8).toString("hex") };
  const place = () => call("POST", "/orders", { items: [{ product_id: productId, quantity: 1 }] }, headers);
  const [one, other] = await Promise.all([place(), place()]);
  expect(one.order_id).toBe(other.order_id);
  return one.order_id;
}

/** The final status of each order. */
async function ends(buyer: { authorization: string }, orderIds: readonly string[]): Promise<string[]> {
  return await Promise.all(
    orderIds.map((id) =>
      eventually(async () => {
        const { status } = await call("GET", `/orders/${id}`, undefined, buyer);
        expect(status).not.toBe("ORDER_STATUS_PENDING");
        return status as string;
      }, slowly),
    ),
  );
}

/** The ids of all, page by page. */
async function ordersOf(buyer: { authorization: string }, pageSize: number): Promise<string[]> {
  const ids: string[] = [];
  let token = "";
  do {
    const page = await call("GET", `/orders?page_size=${pageSize}&page_token=${token}`, undefined, buyer);
    ids.push(...page.orders.map(({ order_id }: Answer) => order_id));
    token = page.next_page_token ?? "";
  } while (token !== "");
  return ids;
}

const confirmed = (statuses: readonly string[]) => statuses.filter((status) => status === "ORDER_STATUS_CONFIRMED");

async function stockOf(productId: string): Promise<number> {
  return (await call("GET", `/products/${productId}`)).stock ?? 0;
}

test("with calls at any worker, orders are exact, tokens are valid, and lists continue at their page tokens", async () => {
  const [productId, buyer] = [await addProduct(20), await signUp()];
  const orderIds = await Promise.all(Array.from({ length: 30 }, () => placeTwice(buyer, productId)));
  expect(new Set(orderIds).size).toBe(30);
  const statuses = await ends(buyer, orderIds);
  expect(confirmed(statuses)).toHaveLength(20);
  expect(statuses.filter((status) => status === "ORDER_STATUS_REJECTED")).toHaveLength(10);
  await eventually(async () => expect(await stockOf(productId)).toBe(0));

  const listed = await ordersOf(buyer, 4);
  expect(listed.toSorted()).toEqual(orderIds.toSorted());

  const scraped = await (await fetch(metricsUrl)).text();
  for (const worker of [1, 2]) {
    const method = "shop.orders.v1.OrderService/CreateOrder";
    const line = `shop_rpc_duration_seconds_count{port="public",method="${method}",code="ok",worker="${worker}"} `;
    const count = Number(scraped.slice(scraped.indexOf(line) + line.length).split("\n", 1)[0]);
    expect(scraped).toContain(line);
    expect(count).toBeGreaterThan(5);
    expect(scraped).toContain(`shop_dependency_up{dependency="nats",worker="${worker}"} 1`);
  }
  expect(lines().filter(({ msg }) => msg.includes("another TOKEN_KEYS_SECRET"))).toEqual([]);
  expect(lines().filter(({ msg }) => msg === "ready")).toHaveLength(1);
}, 120_000);

test("a killed worker is replaced while the port keeps answering, and no order is lost", async () => {
  const [productId, buyer] = [await addProduct(1_000), await signUp()];
  const accepted: string[] = [];
  let isOver = false;
  const buying = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      // Calls at the killed worker get no answer: their orders may have been placed.
      const orderId = await placeTwice(buyer, productId).catch(() => undefined);
      if (orderId !== undefined) accepted.push(orderId);
    }
  });
  for (const worker of [1, 2]) {
    const more = async () => {
      const before = accepted.length;
      await eventually(() => expect(accepted.length).toBeGreaterThan(before + 5), slowly);
    };
    await more();
    const pid = pidOf(worker);
    process.kill(pid, "SIGKILL");
    await more();
    await eventually(() => expect(pidOf(worker)).not.toBe(pid), slowly);
  }
  isOver = true;
  await Promise.all(buying);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(confirmed(await ends(buyer, accepted))).toHaveLength(new Set(accepted).size);

  const all = await ordersOf(buyer, 100);
  expect(all).toEqual(expect.arrayContaining(accepted));
  expect(confirmed(await ends(buyer, all))).toHaveLength(all.length);
  await eventually(async () => expect(await stockOf(productId)).toBe(1_000 - all.length));
}, 180_000);

test("SIGTERM drains the workers, and all processes exit with 0", async () => {
  const pids = [pidOf(1), pidOf(2)];
  const exited = once(shop, "exit");
  shop.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  expect(pids.filter(isAlive)).toEqual([]);
  const drained = lines().filter(({ msg }) => msg === "drained");
  expect(drained.map(({ worker }) => worker).toSorted()).toEqual([1, 2, undefined]);
  expect(drained.at(-1)!.worker).toBeUndefined();
}, 60_000);
