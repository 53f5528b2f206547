import type { Order } from "../../domain/order.ts";

const maxOrders = 10_000;
/** Long beside the usual time to a decision. An account that is deleted meanwhile is still named until then. */
const maxAgeMs = 10_000;

/** Orders that this process has placed and that were not decided yet: their decision need not read them. */
export interface RecentOrders {
  add(order: Order): void;
  /** Takes orders out, in this order; undefined when not all of them are there. */
  take(orderIds: readonly string[]): Order[] | undefined;
}

/** A cache of orders as they were placed, bounded in number and age. Anything that changes an order that stays pending takes it out. */
export function createRecentOrders(now: () => number = () => performance.now()): RecentOrders {
  // The oldest are first.
  const recent = new Map<string, { readonly order: Order; readonly until: number }>();

  function evict(): void {
    for (const [orderId, { until }] of recent) {
      if (recent.size <= maxOrders && until > now()) return;
      recent.delete(orderId);
    }
  }

  return {
    add(order) {
      recent.set(order.orderId, { order, until: now() + maxAgeMs });
      evict();
    },
    take(orderIds) {
      evict();
      const taken = orderIds.flatMap((orderId) => recent.get(orderId)?.order ?? []);
      for (const orderId of orderIds) recent.delete(orderId);
      return taken.length === orderIds.length ? taken : undefined;
    },
  };
}
