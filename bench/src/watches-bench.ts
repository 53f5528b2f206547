import { setTimeout as delay } from "node:timers/promises";
import { load, type Request } from "./load.ts";
import { loadOrders } from "./order-load.ts";
import { percentile } from "./percentile.ts";
import { processorTimeMs } from "./processor-time.ts";
import { residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { type WatchLoad, type WatchResult, watchAndChange } from "./watch-load.ts";
import { withShop } from "./with-shop.ts";

const watcherCount = 10_000;
const orderChanges = { changesPerSecond: 200, changes: 4_000 };
const stockChanges = { changesPerSecond: 0.5, changes: 20 };
const productCount = 200;
const restMs = 5_000;
const usualSeconds = 10;
const processCounts = [1, 4] as const;
/** Enough for each process to have some. */
const fewWatchers = 64;
const ordersPerSecond = 150;

/** Watches have no limit; one address may open the connections that they need. */
const env = {
  ORDER_WATCHES_AT_ONCE: "0",
  ORDER_WATCHES_PER_CALLER: "0",
  ORDER_WATCHES_PER_NETWORK: "0",
  STOCK_WATCHES_AT_ONCE: "0",
  STOCK_WATCHES_PER_CALLER: "0",
  STOCK_WATCHES_PER_NETWORK: "0",
};

interface Watched extends WatchResult {
  readonly subject: string;
  readonly rate: string;
  readonly bytesPerWatcher: number;
}

/** Memory of a watcher, the delay of its messages, and what watching costs MongoDB, with one process and with several. */
export async function benchWatches(settings: BenchSettings): Promise<string> {
  const watched: Watched[] = [];
  for (const protocol of ["REST", "gRPC"] as const)
    watched.push(await withShop(productCount, (...shop) => ordersWatched(protocol, ...shop), env));
  watched.push(await withShop(1, (...shop) => productWatched(...shop), env));
  const costs = [];
  for (const processes of processCounts) costs.push(await costOf(processes, settings.seconds ?? usualSeconds));
  return describe(watched, costs);
}

async function ordersWatched(
  protocol: WatchLoad["protocol"],
  shop: Shop,
  shopping: Shopping,
  productIds: readonly string[],
): Promise<Watched> {
  const buyer = await shopping.newShopper();
  const headers = { "content-type": "application/json", authorization: `Bearer ${buyer}` };
  const requests = productIds.map((product_id): Request => {
    return { method: "POST", path: "/orders", headers, body: JSON.stringify({ items: [{ product_id, quantity: 1 }] }) };
  });
  const orderIds: string[] = [];
  while (orderIds.length < watcherCount) {
    const { orders } = await load({ url: shop.url, requests, connections: 64, seconds: 4 });
    orderIds.push(...orders.map(([orderId]) => orderId));
  }
  while (await shopping.hasOrders(buyer, "ORDER_STATUS_PENDING")) await delay(100);
  const of = { orderIds: orderIds.slice(0, watcherCount) };
  const rate = `${orderChanges.changesPerSecond} transitions`;
  return await watch(shop, shopping, { protocol, of, ...orderChanges }, `${watcherCount} orders, ${protocol}`, rate);
}

async function productWatched(shop: Shop, shopping: Shopping, [productId]: readonly string[]): Promise<Watched> {
  const of = { productId: productId!, watchers: watcherCount };
  const rate = `one movement every ${1 / stockChanges.changesPerSecond} s`;
  return await watch(shop, shopping, { protocol: "REST", of, ...stockChanges }, "one product, REST", rate);
}

async function watch(
  shop: Shop,
  shopping: Shopping,
  load: Omit<WatchLoad, "url" | "token">,
  subject: string,
  rate: string,
): Promise<Watched> {
  const token = await shopping.signInAdmin();
  await delay(restMs);
  const pid = shop.pidOf("all-in-one");
  const before = residentBytes(pid);
  let after = Number.NaN;
  const result = await watchAndChange({ url: shop.url, token, ...load }, () => {
    after = residentBytes(pid);
  });
  return { ...result, subject, rate, bytesPerWatcher: (after - before) / watcherCount };
}

interface Cost {
  readonly processes: number;
  /** Of MongoDB, in microseconds of processor time per order. */
  readonly perOrderUs: { readonly unwatched: number; readonly watched: number };
  /** Of MongoDB without changes, in milliseconds of processor time per second. */
  readonly idleMs: { readonly unwatched: number; readonly watched: number };
}

/** What MongoDB spends on orders and at rest, without watches and with some in each of the processes. */
async function costOf(processes: number, seconds: number): Promise<Cost> {
  const work = async (shop: Shop, shopping: Shopping, productIds: readonly string[]) => {
    const usedMs = () => processorTimeMs(shop.pidOf("mongodb"));
    const measure = async () => {
      const before = usedMs();
      await delay(seconds * 1_000);
      const idleMs = (usedMs() - before) / seconds;
      const how = { connections: 16, seconds, callsPerSecond: ordersPerSecond };
      const { ok, cpuMs } = await loadOrders(shop, shopping, productIds, how);
      return { idleMs, perOrderUs: (cpuMs.mongodb * 1_000) / ok };
    };
    await measure();
    const unwatched = await measure();
    const token = await shopping.newShopper();
    const { order_id } = await shopping.call<{ order_id: string }>(
      "POST",
      "/orders",
      { items: [{ product_id: productIds[0], quantity: 1 }] },
      token,
    );
    const leave = new AbortController();
    const watches = Array.from({ length: fewWatchers }, async () => {
      const response = await fetch(`${shop.url}/orders/${order_id}:watch`, {
        headers: { authorization: `Bearer ${token}` },
        signal: leave.signal,
      });
      await response.body!.getReader().read();
    });
    const stocks = productIds.slice(0, fewWatchers).map(async (productId) => {
      const response = await fetch(`${shop.url}/products/${productId}:watchStock`, { signal: leave.signal });
      for await (const _ of response.body!) if (leave.signal.aborted) return;
    });
    for (const stock of stocks) stock.catch(() => {});
    await Promise.all(watches);
    const watched = await measure();
    leave.abort();
    return {
      processes,
      perOrderUs: { unwatched: unwatched.perOrderUs, watched: watched.perOrderUs },
      idleMs: { unwatched: unwatched.idleMs, watched: watched.idleMs },
    };
  };
  return await withShop(productCount, work, { ...env, WORKERS: String(processes) });
}

function describe(watched: readonly Watched[], costs: readonly Cost[]): string {
  return [
    `${watcherCount} watches over ${watcherCount / 100} HTTP/2 connections at the public port of the shop in one process. The settings ..._WATCHES_AT_ONCE, _PER_CALLER and`,
    "_PER_NETWORK are 0 (no limit). Memory: resident bytes of the process with all watches, less those before, by their number. Delay:",
    "from sending the request of a change to the message about it, so it includes the commit. Load, shop and servers share the machine.",
    "",
    ...table(
      ["watched", "changes a second", "KiB per watcher", "messages", "p50 ms", "p99 ms", "missing", "out of order"],
      watched.map(({ subject, rate, bytesPerWatcher, delaysMs, missing, wrong }) => [
        subject,
        rate,
        (bytesPerWatcher / 1024).toFixed(1),
        String(delaysMs.length),
        percentile(delaysMs, 0.5).toFixed(1),
        percentile(delaysMs, 0.99).toFixed(1),
        String(missing),
        String(wrong),
      ]),
    ),
    "",
    `Processor time of MongoDB, with ${ordersPerSecond} orders a second and at rest, without watches and with ${fewWatchers} of an order and ${fewWatchers} of`,
    "products, which every process has some of.",
    "",
    ...table(
      ["processes", "us per order", "with watches", "ratio", "at rest, ms a second", "with watches"],
      costs.map(({ processes, perOrderUs, idleMs }) => [
        String(processes),
        perOrderUs.unwatched.toFixed(0),
        perOrderUs.watched.toFixed(0),
        (perOrderUs.watched / perOrderUs.unwatched).toFixed(2),
        idleMs.unwatched.toFixed(1),
        idleMs.watched.toFixed(1),
      ]),
    ),
  ].join("\n");
}
