import { type LoadResult, load, type Request } from "./load.ts";
import { type OrderEnds, untilOrdersEnded } from "./order-ends.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";

export interface OrderLoad extends LoadResult {
  readonly ends: OrderEnds;
  /** Orders that reached their end, per second from the start of the load to the last end. */
  readonly endedPerSecond: number;
  /** Stock is exact when the products lost as many units as the confirmed orders have. */
  readonly stockTaken: number;
}

/** Places orders over REST as a new shopper, one line each, over the products in turn; waits until each has ended. */
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
  const result = await load({ url: shop.url, requests, ...how });
  const ends = await untilOrdersEnded(shopping, token, new Map(result.orders));
  const tookSeconds = (ends.lastEndAt - result.startedAt) / 1000;
  const stockTaken = stockBefore - (await shopping.stockOf(productIds));
  return { ...result, ends, endedPerSecond: ends.taken / tookSeconds, stockTaken };
}
