import { type Clock, retryOnConflict } from "@shop/core";
import { decisionEvents } from "../adapters/proto/events.ts";
import { type Decision, decide, splitIntoEntries, type WaitingOrder } from "../domain/ledger.ts";
import type { LedgerStore } from "./ports/ledger-store.ts";
import type { ProductStore } from "./ports/product-store.ts";

export interface Decided {
  /** Decided by an earlier entry, whose event the caller may have missed. */
  readonly before: readonly Decision[];
  /** Decided by this call, which also publishes their events. */
  readonly now: readonly Decision[];
}

/**
 * Reserves stock for orders, all lines of each or none, with one ledger entry for as many orders as fit. Idempotent by the ledger's
 * decision keys: a repeated order gets its first decision.
 */
export type DecideOrders = (orders: readonly PlacedOrder[]) => Promise<Decided>;

export interface PlacedOrder extends WaitingOrder {
  /** The OrderPlaced that asks for the decision; absent when a call does. */
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
      // Another entry decided some of these orders or moved some of these products first.
      await on.ledger.catchUp(productIds);
      return undefined;
    });
  }

  return async (orders) => {
    // An order that is listed twice is decided once.
    const once = [...new Map(orders.map((order) => [order.orderId, order])).values()];
    const entries: Decided[] = [];
    for (const part of splitIntoEntries(once)) entries.push(await on.ledger.inTurn(() => decideEntry(part)));
    return { before: entries.flatMap(({ before }) => before), now: entries.flatMap(({ now }) => now) };
  };
}
