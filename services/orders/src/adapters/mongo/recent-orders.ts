import type { RecentOrders } from "../../application/ports/recent-orders.ts";
import type { Order } from "../../domain/order.ts";

const maxOrders = 10_000;
/** Long compared with the usual time to a decision, and the longest that a deleted account's id stays in an event. */
const maxAgeMs = 10_000;

/** A cache of orders as they were placed, bounded in number and age. A change that leaves an order pending must remove it. */
export function createRecentOrders(now: () => number = () => performance.now()): RecentOrders {
  // Oldest first.
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
