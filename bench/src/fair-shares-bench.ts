import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { cpus } from "node:os";
import { type LoadResult, load, type Request, refusalsOf } from "./load.ts";
import { mean } from "./mean.ts";
import { residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Account, Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { type ThreadTimes, threadTimes } from "./thread-times.ts";
import { withShop } from "./with-shop.ts";

const productCount = 200;
const usualRounds = 3;
const usualSeconds = 12;
/** Each from its own address. */
const customerCount = 20;
const perSecond = { reads: 100, "sign-ins": 10, orders: 10 };
/** The abuser's requests; fewer than would keep all cores busy. */
const abuse = {
  addresses: 15,
  accounts: 12,
  watchesOfEach: 110,
  bodies: 600,
  bodyBytes: 60_000,
  guesses: 20,
  orders: 2,
};
const linesOfOrder = 100;
const json = { "content-type": "application/json" };

/** The default limits, which startShop raises for the other benches, and a trusted proxy that names the client. */
const env = {
  TRUSTED_PROXIES: "1",
  AUTH_RATE_PER_MINUTE: "300",
  PASSWORD_HASHES_PER_NETWORK: "12",
  ORDER_LINES_PER_ACCOUNT: "100",
  ORDER_LINES_PER_NETWORK: "400",
  MAX_OPEN_UNITS_PER_ACCOUNT: "10000",
  MAX_OPEN_UNITS_PER_PRODUCT: "1000",
};

type Customers = Readonly<Record<keyof typeof perSecond, LoadResult>>;

interface Turn {
  readonly customers: Customers;
  /** The used part of the processor time of all cores, by all processes of the machine. */
  readonly busy: number;
  /** Of the shop's event loop, in milliseconds per second. */
  readonly eventLoop: ThreadTimes;
}

interface AbuseTurn extends Turn {
  readonly watches: number;
  readonly bodies: number;
  readonly guesses: LoadResult;
  readonly orders: LoadResult;
  readonly memoryBytes: number;
}

/**
 * What ordinary customers notice of one abuser that takes all that the limits allow but leaves the processors some idle
 * time.
 */
export async function benchFairShares(settings: BenchSettings): Promise<string> {
  const seconds = settings.seconds ?? usualSeconds;
  return await withShop(
    productCount,
    async (shop, shopping, productIds) => {
      const customers = await customerRequests(shopping, productIds);
      const measure = () => customerTurn(shop, customers, seconds);
      await measure();
      const [calm, abused]: [Turn[], AbuseTurn[]] = [[], []];
      while (calm.length < usualRounds) {
        calm.push(await measure());
        abused.push(await abuseTurn(shop, shopping, productIds, seconds, measure));
      }
      return describe(calm, abused, seconds);
    },
    env,
  );
}

function from(address: string): Record<string, string> {
  return { "x-forwarded-for": address };
}

function orderOf(productIds: readonly string[]): string {
  return JSON.stringify({ items: productIds.map((product_id) => ({ product_id, quantity: 1 })) });
}

async function tokensOf(shopping: Shopping, count: number): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < count) tokens.push(await shopping.newShopper());
  return tokens;
}

async function customerRequests(shopping: Shopping, productIds: readonly string[]) {
  const accounts: Account[] = await shopping.newAccounts(customerCount);
  const tokens = await tokensOf(shopping, customerCount);
  const addressed = (index: number) => ({ ...json, ...from(`198.51.${index}.7`) });
  return {
    reads: productIds.map((id, index): Request => {
      return { method: "GET", path: `/products/${id}`, headers: from(`198.51.${index % customerCount}.7`) };
    }),
    "sign-ins": accounts.map((account, index): Request => {
      return { method: "POST", path: "/authenticate", headers: addressed(index), body: JSON.stringify(account) };
    }),
    orders: productIds.map((id, index): Request => {
      const customer = index % customerCount;
      const headers = { ...addressed(customer), authorization: `Bearer ${tokens[customer]}` };
      return { method: "POST", path: "/orders", headers, body: orderOf([id]) };
    }),
  };
}

async function customerTurn(
  shop: Shop,
  customers: Readonly<Record<keyof typeof perSecond, readonly Request[]>>,
  seconds: number,
): Promise<Turn> {
  const before = processorTimes();
  const pid = shop.pidOf("all-in-one");
  const loopBefore = threadTimes(pid);
  const of = (what: keyof typeof perSecond) =>
    load({ url: shop.url, requests: customers[what], connections: 8, seconds, callsPerSecond: perSecond[what] });
  const [reads, signIns, orders] = await Promise.all([of("reads"), of("sign-ins"), of("orders")]);
  const after = processorTimes();
  const busy = (after.used - before.used) / (after.all - before.all);
  const loopAfter = threadTimes(pid);
  const eventLoop = {
    ranMs: (loopAfter.ranMs - loopBefore.ranMs) / seconds,
    waitedMs: (loopAfter.waitedMs - loopBefore.waitedMs) / seconds,
  };
  return { customers: { reads, "sign-ins": signIns, orders }, busy, eventLoop };
}

function processorTimes(): { used: number; all: number } {
  const times = cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({ used: user + nice + sys + irq, idle }));
  const used = times.reduce((sum, one) => sum + one.used, 0);
  return { used, all: used + times.reduce((sum, one) => sum + one.idle, 0) };
}

/** Occupies what it can get, then keeps guessing and ordering while the customers are measured. */
async function abuseTurn(
  shop: Shop,
  shopping: Shopping,
  productIds: readonly string[],
  seconds: number,
  measure: () => Promise<Turn>,
): Promise<AbuseTurn> {
  const tokens = await tokensOf(shopping, abuse.accounts);
  const items = productIds.slice(0, linesOfOrder);
  const addressOf = (index: number) => from(`203.0.${index % abuse.addresses}.66`);
  const held: ClientRequest[] = [];
  const watching: Promise<boolean>[] = [];
  for (const [index, token] of tokens.entries()) {
    const headers = { ...addressOf(index % 4), authorization: `Bearer ${token}` };
    const { order_id } = await shopping.call<{ order_id: string }>(
      "POST",
      "/orders",
      JSON.parse(orderOf(items)),
      token,
    );
    for (let n = 0; n < abuse.watchesOfEach; n++) {
      const request = httpRequest(`${shop.url}/orders/${order_id}:watch`, { agent: false, headers });
      held.push(request);
      watching.push(isStream(request));
      request.end();
    }
  }
  const watches = (await Promise.all(watching)).filter(Boolean).length;
  let refusedBodies = 0;
  for (let index = 0; index < abuse.bodies; index++) {
    const headers = { ...json, ...addressOf(index), "content-length": abuse.bodyBytes };
    const request = httpRequest(`${shop.url}/authenticate`, { method: "POST", agent: false, headers });
    request.on("error", () => {}).on("response", () => refusedBodies++);
    request.write(Buffer.alloc(abuse.bodyBytes - 1, " "));
    held.push(request);
  }
  const guesses = Array.from({ length: abuse.guesses * seconds }, (_, index): Request => {
    const account = { username: `guessed-${crypto.randomUUID().slice(0, 13)}`, password: "bench-bench-bench" };
    const headers = { ...json, ...addressOf(index) };
    return { method: "POST", path: "/authenticate", headers, body: JSON.stringify(account) };
  });
  const orders = tokens.map((token, index): Request => {
    const headers = { ...json, ...addressOf(index), authorization: `Bearer ${token}` };
    return { method: "POST", path: "/orders", headers, body: orderOf(items) };
  });
  const ask = (requests: readonly Request[], callsPerSecond: number) =>
    load({ url: shop.url, requests, connections: 32, seconds, callsPerSecond });
  const [turn, guessed, ordered] = await Promise.all([
    measure(),
    ask(guesses, abuse.guesses),
    ask(orders, abuse.orders),
  ]);
  const bodies = abuse.bodies - refusedBodies;
  const memoryBytes = residentBytes(shop.pidOf("all-in-one"));
  for (const request of held) request.destroy();
  return { ...turn, watches, bodies, guesses: guessed, orders: ordered, memoryBytes };
}

/** Whether a watch was accepted: an error after the head is a message, too, and ends the stream. */
async function isStream(request: ClientRequest): Promise<boolean> {
  return await new Promise((resolve) => {
    request.on("error", () => resolve(false));
    request.on("response", (response: IncomingMessage) => {
      response.once("data", (chunk: Buffer) => resolve(response.statusCode === 200 && !chunk.includes("TOO_MANY")));
      response.once("end", () => resolve(false));
      response.on("error", () => {});
      response.resume();
    });
  });
}

function describe(calm: readonly Turn[], abused: readonly AbuseTurn[], seconds: number): string {
  const kinds = Object.keys(perSecond) as (keyof typeof perSecond)[];
  const p99 = (turns: readonly Turn[], kind: keyof typeof perSecond) =>
    mean(turns.map(({ customers }) => customers[kind].p99Ms));
  const row = (name: string, turns: readonly Turn[], kind: keyof typeof perSecond) => {
    const loads = turns.map(({ customers }) => customers[kind]);
    const isCalm = turns === calm;
    return [
      `${kind}, ${name}`,
      mean(loads.map((one) => one.perSecond)).toFixed(1),
      mean(loads.map((one) => one.p50Ms)).toFixed(1),
      p99(turns, kind).toFixed(1),
      loads.map((one) => one.p99Ms.toFixed(1)).join(", "),
      loads.map(refusalsOf).join("; "),
      String(loads.reduce((sum, one) => sum + one.lost, 0)),
      isCalm ? "" : (p99(abused, kind) / p99(calm, kind)).toFixed(2),
    ];
  };
  const each = (tell: (turn: AbuseTurn) => string | number) => abused.map(tell).join(", ");
  const loop = (turns: readonly Turn[]) =>
    turns.map(({ eventLoop: { ranMs, waitedMs } }) => `${ranMs.toFixed(0)} and ${waitedMs.toFixed(0)}`).join(", ");
  const percent = (turns: readonly Turn[]) => turns.map(({ busy }) => `${(busy * 100).toFixed(0)}%`).join(", ");
  return [
    `Turns of ${seconds} s, calm and with an abuser, alternate. ${customerCount} customers, each from its own address, read products (${perSecond.reads} a second), sign in`,
    `(${perSecond["sign-ins"]}) and place orders of one line (${perSecond.orders}), over REST at the public port of the shop in one process. All limits are the defaults. The abuser has`,
    `${abuse.accounts} accounts and ${abuse.addresses} addresses, requests ${abuse.accounts * abuse.watchesOfEach} watches from four addresses, leaves ${abuse.bodies} bodies of ${abuse.bodyBytes} bytes without their last byte, guesses`,
    `${abuse.guesses} passwords and places ${abuse.orders} orders of ${linesOfOrder} lines a second. Load and shop share the machine. Means of the turns.`,
    "",
    ...table(
      ["", "a second", "p50 ms", "p99 ms", "of each turn", "refused", "lost", "p99 to calm"],
      kinds.flatMap((kind) => [row("calm", calm, kind), row("abuse", abused, kind)]),
    ),
    "",
    `Of each turn, the abuser got: watches ${each(({ watches }) => watches)}; unfinished bodies accepted ${each(({ bodies }) => bodies)}; guesses answered with 401 or refused`,
    `${abused.map(({ guesses }) => refusalsOf(guesses)).join("; ")}; orders accepted ${each(({ orders }) => orders.ok)}, refused ${abused.map(({ orders }) => refusalsOf(orders)).join("; ")}.`,
    "",
    `Milliseconds of each second in which the shop's event loop ran, and waited for a core, by turn: ${loop(calm)} without the abuser, ${loop(abused)} with the abuser.`,
    `Processors busy: ${percent(calm)} without the abuser, ${percent(abused)} with the abuser. Resident memory of the shop with the abuser, in MiB: ${each(({ memoryBytes }) => Math.round(memoryBytes / 2 ** 20))}.`,
  ].join("\n");
}
