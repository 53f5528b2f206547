import type { Clock } from "@shop/core";
import type { OrderCancelled, OrderReturned, OrderShipped } from "@shop/gen/shop/orders/v1/events_pb";
import type { LedgerStore } from "../adapters/mongo/ledger-store.ts";
import type { ProductStore } from "../adapters/mongo/product-store.ts";
import { closingEvent } from "../adapters/proto/events.ts";
import { type Closing, close, type Decision, type EntryPlan, inEntries, voidOrders } from "../domain/ledger.ts";

/**
 * Ends what was set aside for orders: free again when they were cancelled, gone when they were shipped, back when they were
 * returned. Idempotent by the ledger's step keys, and in any order: an order that was not decided yet is voided, so that a
 * late OrderPlaced reserves nothing; one that returns before its shipping was heard of is shipped first.
 */
export function orderClosed(
  on: {
    readonly ledger: LedgerStore;
    readonly products: ProductStore;
    readonly clock: Clock;
  },
  outcome: Closing["outcome"],
): (events: readonly (OrderCancelled | OrderShipped | OrderReturned)[]) => Promise<void> {
  /** False when somebody else was first at something the entry claims. */
  async function append(kind: "decided" | Closing["outcome"], plan: EntryPlan): Promise<boolean> {
    const time = on.clock();
    const events = plan.closings.map((closing) => closingEvent(closing, time));
    return await on.ledger.append({ kind, plan, events, actor: "orders", time });
  }

  async function closeAs(next: Closing["outcome"], decisions: readonly Decision[]): Promise<void> {
    const productIds = [...new Set(decisions.flatMap(({ lines }) => lines.map((line) => line.productId)))];
    const plan = close(await on.products.balancesOf(productIds, "all"), decisions, next);
    if (!(await append(next, plan))) await on.ledger.catchUp(productIds);
  }

  async function closeAll(orderIds: readonly string[]): Promise<void> {
    for (;;) {
      const [decisions, taken] = await Promise.all([on.ledger.decisionsOf(orderIds), on.ledger.closingsOf(orderIds)]);
      const undecided = orderIds.filter((orderId) => !decisions.has(orderId));
      const open = [...decisions.values()].flatMap((decision) => {
        const next = nextStep(decision, taken.get(decision.orderId), outcome);
        return next === undefined ? [] : [{ decision, next }];
      });
      if (undecided.length === 0 && open.length === 0) return;

      if (undecided.length > 0) await append("decided", voidOrders(undecided));
      for (const [next, steps] of Map.groupBy(open, (step) => step.next)) {
        for (const part of inEntries(steps.map(({ decision }) => decision))) await closeAs(next, part);
      }
      // Whatever somebody else was first at, and what has a second step to take, shows in another look.
    }
  }

  return (events) => on.ledger.inTurn(() => closeAll([...new Set(events.map((event) => event.orderId))]));
}

/** The step that still has to be taken to reach `outcome`; undefined when there is none, or no way. */
function nextStep(
  decision: Decision,
  taken: ReadonlySet<Closing["outcome"]> = new Set(),
  outcome: Closing["outcome"],
): Closing["outcome"] | undefined {
  if (decision.outcome !== "reserved" || taken.has(outcome) || taken.has("released")) return undefined;
  if (outcome === "returned") return taken.has("shipped") ? "returned" : "shipped";
  return taken.has("shipped") ? undefined : outcome;
}
