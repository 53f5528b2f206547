import type { Clock } from "@shop/core";
import type { OrderCancelled, OrderReturned, OrderShipped } from "@shop/gen/shop/orders/v1/events_pb";
import { closingEvent } from "../adapters/proto/events.ts";
import type { LedgerStore } from "../application/ports/ledger-store.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import { type Closing, close, type Decision, type EntryPlan, splitIntoEntries, voidOrders } from "../domain/ledger.ts";

/**
 * Closes orders' reservations as `outcome`. Idempotent by the ledger's step keys, and independent of the order of events: an undecided
 * order is voided, so that a late OrderPlaced reserves nothing, and an order whose OrderReturned arrives before OrderShipped is shipped
 * first.
 */
export function orderClosed(
  on: {
    readonly ledger: LedgerStore;
    readonly products: ProductStore;
    readonly clock: Clock;
  },
  outcome: Closing["outcome"],
): (events: readonly (OrderCancelled | OrderShipped | OrderReturned)[]) => Promise<void> {
  /** False when another entry has claimed one of the keys first. */
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
        for (const part of splitIntoEntries(steps.map(({ decision }) => decision))) await closeAs(next, part);
      }
      // The next iteration handles conflicts, and orders that need a second step.
    }
  }

  return (events) => on.ledger.inTurn(() => closeAll([...new Set(events.map((event) => event.orderId))]));
}

/** The next step towards `outcome`; undefined when it is reached already or can't be reached. */
function nextStep(
  decision: Decision,
  taken: ReadonlySet<Closing["outcome"]> = new Set(),
  outcome: Closing["outcome"],
): Closing["outcome"] | undefined {
  if (decision.outcome !== "reserved" || taken.has(outcome) || taken.has("released")) return undefined;
  if (outcome === "returned") return taken.has("shipped") ? "returned" : "shipped";
  return taken.has("shipped") ? undefined : outcome;
}
