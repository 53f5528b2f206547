import { setTimeout as delay } from "node:timers/promises";
import { percentile } from "./load.ts";
import type { Order, Shopping } from "./shopping.ts";

const giveUpAfterMs = 120_000;
const pollMs = 100;
const pending = "ORDER_STATUS_PENDING";

/** Where the orders of one load ended, and how long that took. */
export interface OrderEnds {
  /** All that the shop took; a few more than were answered, since the load ends with calls on their way. */
  readonly taken: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** Units of those that were confirmed. */
  readonly unitsConfirmed: number;
  /** From the end of the load to the last order's end. */
  readonly drainedMs: number;
  /** From placing an order to its end, by the shop's own clock. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Waits until every order of a shopper has reached its end. Call it right after the load. */
export async function untilOrdersEnded(shopping: Shopping, token: string): Promise<OrderEnds> {
  const loadEndedAt = Date.now();
  let orders = await shopping.orders(token);
  while (orders.some(({ status }) => status === pending)) {
    if (Date.now() - loadEndedAt > giveUpAfterMs) break;
    await delay(pollMs);
    orders = await shopping.orders(token);
  }
  const ended = orders.filter(({ status }) => status !== pending);
  const tookMs = ended
    .map((order) => Date.parse(order.update_time) - Date.parse(order.create_time))
    .toSorted((a, b) => a - b);
  const lastEnd = Math.max(...ended.map((order) => Date.parse(order.update_time)));
  return {
    taken: orders.length,
    byStatus: countByStatus(orders),
    unitsConfirmed: orders.filter(({ status }) => status === "ORDER_STATUS_CONFIRMED").reduce(unitsOf, 0),
    drainedMs: Math.max(0, lastEnd - loadEndedAt),
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
  };
}

function countByStatus(orders: readonly Order[]): Record<string, number> {
  const groups = Object.groupBy(orders, (order) => order.status);
  return Object.fromEntries(Object.entries(groups).map(([status, group]) => [status, group!.length]));
}

function unitsOf(sum: number, order: Order): number {
  return order.items.reduce((units, { quantity }) => units + quantity, sum);
}
