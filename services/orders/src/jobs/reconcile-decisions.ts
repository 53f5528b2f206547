import type { Clock, Job, Logger } from "@shop/core";
import type { OrderStore } from "../application/ports/order-store.ts";
import type { Reservations, StockDecision } from "../application/ports/reservations.ts";
import type { StockDecisions } from "../application/stock-decisions.ts";

/** An order that is undecided after this time is probably waiting for the bus: NATS takes 4 to 9 seconds to elect a new leader. */
const reconcileAfterMs = 2_000;
const intervalMs = 500;
/** The maximum of DecideOrders. */
const maxOrders = 200;

/**
 * Calls inventory for the decisions that no event has brought in time, oldest orders first. So orders are decided, and accepted, while
 * the bus is down or has lost events. Events that arrive later change nothing.
 */
export function reconcileDecisions(on: {
  readonly orders: Pick<OrderStore, "listPending">;
  readonly reservations: Pick<Reservations, "decide">;
  readonly stockDecisions: StockDecisions;
  readonly clock: Clock;
  readonly log: Logger;
}): Omit<Job, "lease"> {
  return {
    name: "reconcile-decisions",
    intervalMs,
    async run() {
      const waiting = await on.orders.listPending(new Date(on.clock().getTime() - reconcileAfterMs), maxOrders);
      if (waiting.length === 0) return;
      on.log.warn({ orders: waiting.length }, "orders are undecided: calling inventory");
      const decisions = await on.reservations.decide(waiting);
      // VOID needs nothing: such an order was cancelled before.
      const decidedAs = (wanted: StockDecision["outcome"]) => decisions.filter(({ outcome }) => outcome === wanted);
      await on.stockDecisions.confirm(decidedAs("reserved"));
      await on.stockDecisions.reject(decidedAs("refused"));
    },
  };
}
