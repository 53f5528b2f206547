import { type Clock, retryOnConflict } from "@shop/core";
import type { LedgerStore } from "../adapters/mongo/ledger-store.ts";
import type { ProductStore } from "../adapters/mongo/product-store.ts";
import { decisionEvents } from "../adapters/proto/events.ts";
import { type Decision, decide, inEntries, type WaitingOrder } from "../domain/ledger.ts";

/** What is decided for some orders. */
export interface Decided {
  /** These were decided before, and whoever asks again may not have heard of it. */
  readonly before: readonly Decision[];
  /** Of these, events tell. */
  readonly now: readonly Decision[];
}

/**
 * Sets stock aside for orders, all lines of each or none, as many at a time as an entry of the ledger holds. Idempotent by the
 * ledger's decision keys: an order that comes again gets the answer it got.
 */
export type DecideOrders = (orders: readonly PlacedOrder[]) => Promise<Decided>;

/** An order that waits, and the id of the event that said so; none when it was a call. */
export interface PlacedOrder extends WaitingOrder {
  readonly placedEventId?: string;
}

export function createDecideOrders(on: {
  readonly ledger: LedgerStore;
  readonly products: ProductStore;
  readonly clock: Clock;
}): DecideOrders {
  async function decideEntry(orders: readonly PlacedOrder[]): Promise<Decided> {
    const before: Decision[] = [];
    const placedEventIds = new Map(orders.map(({ orderId, placedEventId }) => [orderId, placedEventId]));
    let waiting = orders;
    return await retryOnConflict(async () => {
      const productIds = [...new Set(waiting.flatMap((order) => order.lines.map((line) => line.productId)))];
      const [decided, balances] = await Promise.all([
        on.ledger.decisionsOf(waiting.map((order) => order.orderId)),
        on.products.balancesOf(productIds, "sold"),
      ]);
      before.push(...decided.values());
      waiting = waiting.filter((order) => !decided.has(order.orderId));
      if (waiting.length === 0) return { before, now: [] };

      const plan = decide(balances, waiting);
      const now = on.clock();
      const events = plan.decisions.flatMap((decision) =>
        decisionEvents(decision, placedEventIds.get(decision.orderId) ?? "", now),
      );
      const isFirst = await on.ledger.append({ kind: "decided", plan, events, actor: "inventory", time: now });
      if (isFirst) return { before, now: plan.decisions };
      // Somebody was first: at deciding some of these orders, or at moving some of these products.
      await on.ledger.catchUp(productIds);
      return undefined;
    });
  }

  return async (orders) => {
    // The same order twice counts once.
    const once = [...new Map(orders.map((order) => [order.orderId, order])).values()];
    const entries: Decided[] = [];
    for (const part of inEntries(once)) entries.push(await on.ledger.inTurn(() => decideEntry(part)));
    return { before: entries.flatMap(({ before }) => before), now: entries.flatMap(({ now }) => now) };
  };
}
