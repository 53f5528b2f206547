import { type LoadResult, load, type Request } from "./load.ts";
import { type OrderEnds, untilOrdersEnded } from "./order-ends.ts";
import { processorTimeMs } from "./processor-time.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";

export const servers = ["mongodb", "nats", "redis", "all-in-one"] as const;

export interface OrderLoad extends LoadResult {
  /** Processor time of each server during the load, in milliseconds. */
  readonly cpuMs: Readonly<Record<(typeof servers)[number], number>>;
  readonly ends: OrderEnds;
  /** Orders with a final status, per second from the start of the load to the last one. */
  readonly endedPerSecond: number;
  /** Stock is exact when it decreased by the units of the confirmed orders. */
  readonly stockTaken: number;
}

/**
 * Places orders over REST as a new shopper, one line each, over the products round-robin; waits until each has a final
 * status.
 */
export async function loadOrders(
  shop: Shop,
  shopping: Shopping,
  productIds: readonly string[],
  how: { readonly connections: number; readonly seconds: number; readonly callsPerSecond?: number },
): Promise<OrderLoad> {
  const token = await shopping.newShopper();
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const requests = productIds.map((product_id): Request => {
    return { method: "POST", path: "/orders", headers, body: JSON.stringify({ items: [{ product_id, quantity: 1 }] }) };
  });
  const stockBefore = await shopping.stockOf(productIds);
  const usedMs = () => servers.map((name) => processorTimeMs(shop.pidOf(name)));
  const usedBefore = usedMs();
  const result = await load({ url: shop.url, requests, ...how });
  // Excludes the later reads of orders and stock.
  const cpuMs = Object.fromEntries(usedMs().map((ms, index) => [servers[index], ms - usedBefore[index]!]));
  const ends = await untilOrdersEnded(shopping, token, new Map(result.orders));
  const tookSeconds = (ends.lastEndAt - result.startedAt) / 1000;
  const stockTaken = stockBefore - (await shopping.stockOf(productIds));
  return { ...result, cpuMs: cpuMs as OrderLoad["cpuMs"], ends, endedPerSecond: ends.taken / tookSeconds, stockTaken };
}
