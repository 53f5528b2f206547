import type { OrderCancelled, OrderReturned, OrderShipped } from "@shop/gen/shop/orders/v1/events_pb";
import type { Clock } from "@shop/platform";
import { type Closing, close, type Decision, type EntryPlan, voidOrders } from "../domain/ledger.ts";
import type { ProductCache } from "../product-cache.ts";
import type { LedgerStore } from "../store/ledger-store.ts";
import type { ProductStore } from "../store/product-store.ts";
import { closingEvent } from "../wire/events.ts";

/**
 * Ends what was set aside for orders: free again when they were cancelled, gone when they were shipped, back when they were
 * returned. Idempotent by the ledger's step keys, and in any order: an order that was not decided yet is voided, so that a
 * late OrderPlaced reserves nothing; one that returns before its shipping was heard of is shipped first.
 */
export function orderClosed(
  on: {
    readonly ledger: LedgerStore;
    readonly products: ProductStore;
    readonly cache: ProductCache;
    readonly clock: Clock;
  },
  outcome: Closing["outcome"],
): (events: readonly (OrderCancelled | OrderShipped | OrderReturned)[]) => Promise<void> {
  /** False when somebody else was first at something the entry claims. */
  async function append(kind: "decided" | Closing["outcome"], plan: EntryPlan): Promise<boolean> {
    const time = on.clock();
    const events = plan.closings.map((closing) => closingEvent(closing, time));
    const moved = await on.ledger.append({ kind, plan, events, actor: "orders", time });
    if (moved !== undefined) await on.cache.invalidate(moved);
    return moved !== undefined;
  }

  async function closeAs(decision: Decision, next: Closing["outcome"]): Promise<void> {
    const productIds = decision.lines.map((line) => line.productId);
    const plan = close(await on.products.balancesOf(productIds, "all"), [decision], next);
    if (!(await append(next, plan))) await on.cache.invalidate(await on.ledger.catchUp(productIds));
  }

  async function closeOne(orderId: string): Promise<void> {
    for (;;) {
      const decision = (await on.ledger.decisionsOf([orderId])).get(orderId);
      if (decision === undefined) {
        if (await append("decided", voidOrders([orderId]))) return;
        continue;
      }
      const next = nextStep(decision, await on.ledger.closingsOf(orderId), outcome);
      if (next === undefined) return;
      await closeAs(decision, next);
    }
  }

  return async (events) => {
    for (const orderId of new Set(events.map((event) => event.orderId))) await closeOne(orderId);
  };
}

/** The step that still has to be taken to reach `outcome`; undefined when there is none, or no way. */
function nextStep(
  decision: Decision,
  taken: ReadonlySet<Closing["outcome"]>,
  outcome: Closing["outcome"],
): Closing["outcome"] | undefined {
  if (decision.outcome !== "reserved" || taken.has(outcome) || taken.has("released")) return undefined;
  if (outcome === "returned") return taken.has("shipped") ? "returned" : "shipped";
  return taken.has("shipped") ? undefined : outcome;
}
