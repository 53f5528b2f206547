import type { OrderPlaced } from "@shop/gen/shop/orders/v1/events_pb";
import type { Clock, Outbox } from "@shop/platform";
import { type Decision, decide, inEntries, type WaitingOrder } from "../domain/ledger.ts";
import type { LedgerStore } from "../store/ledger-store.ts";
import type { ProductStore } from "../store/product-store.ts";
import { decisionEvents } from "../wire/events.ts";

/**
 * Sets stock aside for orders, all lines of each or none, and tells. Idempotent by the ledger's decision keys: an order
 * that comes again gets the answer it got.
 */
export function orderPlaced(on: {
  readonly ledger: LedgerStore;
  readonly products: ProductStore;
  readonly repeat: Outbox["publishNow"];
  readonly clock: Clock;
}): (events: readonly OrderPlaced[]) => Promise<void> {
  /** Answers what had been decided before. */
  async function decideAll(orders: readonly WaitingOrder[]): Promise<Decision[]> {
    const known: Decision[] = [];
    let waiting = orders;
    for (;;) {
      const productIds = [...new Set(waiting.flatMap((order) => order.lines.map((line) => line.productId)))];
      const [decided, balances] = await Promise.all([
        on.ledger.decisionsOf(waiting.map((order) => order.orderId)),
        on.products.balancesOf(productIds, "sold"),
      ]);
      known.push(...decided.values());
      waiting = waiting.filter((order) => !decided.has(order.orderId));
      if (waiting.length === 0) return known;

      const plan = decide(balances, waiting);
      const now = on.clock();
      const events = plan.decisions.flatMap((decision) => decisionEvents(decision, now));
      const isFirst = await on.ledger.append({ kind: "decided", plan, events, actor: "inventory", time: now });
      if (isFirst) return known;
      // Somebody was first: at deciding some of these orders, or at moving some of these products.
      await on.ledger.catchUp(productIds);
    }
  }

  return async (events) => {
    // The same order twice counts once.
    const orders = [...new Map(events.map((event) => [event.orderId, event])).values()];
    for (const part of inEntries(orders)) {
      const known = await on.ledger.inTurn(() => decideAll(part));
      const now = on.clock();
      await on.repeat(known.flatMap((decision) => decisionEvents(decision, now, now.getTime())));
    }
  };
}
