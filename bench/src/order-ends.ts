import { setTimeout as delay } from "node:timers/promises";
import { percentile } from "./percentile.ts";
import type { Order, Shopping } from "./shopping.ts";

const giveUpAfterMs = 120_000;
const pollMs = 200;
const pending = "ORDER_STATUS_PENDING";

/** The final statuses of the orders of one load, and their durations. */
export interface OrderEnds {
  /** All accepted orders; a few more than were answered, since the load ends with calls in flight. */
  readonly taken: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** Units of the confirmed orders. */
  readonly unitsConfirmed: number;
  /** The time of the last final status, in milliseconds since 1970. */
  readonly lastEndAt: number;
  /** From the request to the order's final status, by one machine's clock, for answered requests. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Waits until every order of a shopper has a final status. `requestedAt` has the request time of each answered order. */
export async function untilOrdersEnded(
  shopping: Shopping,
  token: string,
  requestedAt: ReadonlyMap<string, number>,
): Promise<OrderEnds> {
  const waitingSince = Date.now();
  while (await shopping.hasOrders(token, pending)) {
    if (Date.now() - waitingSince > giveUpAfterMs) break;
    await delay(pollMs);
  }
  const orders = await shopping.orders(token);
  const ended = orders.filter(({ status }) => status !== pending);
  const tookMs = ended
    .filter(({ order_id }) => requestedAt.has(order_id))
    .map(({ order_id, update_time }) => Date.parse(update_time) - requestedAt.get(order_id)!)
    .toSorted((a, b) => a - b);
  return {
    taken: orders.length,
    byStatus: countByStatus(orders),
    unitsConfirmed: orders.filter(({ status }) => status === "ORDER_STATUS_CONFIRMED").reduce(unitsOf, 0),
    lastEndAt: ended.reduce((last, { update_time }) => Math.max(last, Date.parse(update_time)), 0),
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

/** The final statuses of orders, for a table. */
export function statesOf({ byStatus }: Pick<OrderEnds, "byStatus">): string {
  const short = (status: string) => status.replace("ORDER_STATUS_", "").toLowerCase();
  return Object.entries(byStatus)
    .map(([status, count]) => `${count} ${short(status)}`)
    .join(", ");
}

/** Whether the stock decreased by the units of the confirmed orders, for a table. */
export function exactness(stockTaken: number, { unitsConfirmed }: Pick<OrderEnds, "unitsConfirmed">): string {
  return stockTaken === unitsConfirmed ? "exact" : `${stockTaken} for ${unitsConfirmed}`;
}
