import type { OrderCancelled, OrderShipped } from "@shop/gen/shop/orders/v1/events_pb";
import type { Clock } from "@shop/platform";
import { type Closing, close, type EntryPlan, voidOrders } from "../domain/ledger.ts";
import type { ProductCache } from "../product-cache.ts";
import type { LedgerStore } from "../store/ledger-store.ts";
import type { ProductStore } from "../store/product-store.ts";
import { closingEvent } from "../wire/events.ts";

/**
 * Ends what was set aside for orders: free again when they were cancelled, gone when they were shipped. Idempotent by the
 * ledger's close keys. An order that was not decided yet is voided, so that a late OrderPlaced reserves nothing.
 */
export function orderClosed(
  on: {
    readonly ledger: LedgerStore;
    readonly products: ProductStore;
    readonly cache: ProductCache;
    readonly clock: Clock;
  },
  outcome: Closing["outcome"],
): (events: readonly (OrderCancelled | OrderShipped)[]) => Promise<void> {
  async function append(plan: EntryPlan): Promise<boolean> {
    const time = on.clock();
    const events = plan.closings.map((closing) => closingEvent(closing, time));
    const kind = plan.closings.length > 0 ? outcome : "decided";
    const moved = await on.ledger.append({ kind, plan, events, time });
    if (moved !== undefined) await on.cache.invalidate(moved);
    return moved !== undefined;
  }

  async function closeOne(orderId: string): Promise<void> {
    for (;;) {
      const decision = (await on.ledger.decisionsOf([orderId])).get(orderId);
      if (decision === undefined) {
        if (await append(voidOrders([orderId]))) return;
        continue;
      }
      if (decision.outcome !== "reserved" || (await on.ledger.closedAmong([orderId])).has(orderId)) return;
      const productIds = decision.lines.map((line) => line.productId);
      if (await append(close(await on.products.balancesOf(productIds, "all"), [decision], outcome))) return;
      await on.cache.invalidate(await on.ledger.catchUp(productIds));
    }
  }

  return async (events) => {
    for (const orderId of new Set(events.map((event) => event.orderId))) await closeOne(orderId);
  };
}
