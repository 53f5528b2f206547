import type { Clock, Job, Logger } from "@shop/core";
import type { Reservations, StockDecision } from "../adapters/clients/reservations.ts";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import type { FollowStock } from "../application/follow-stock.ts";

/** An order that was not decided by then waits for the bus: NATS elects a new leader in 4 to 9 seconds. */
const askAfterMs = 2_000;
const intervalMs = 500;
/** As many as the stock decides in one call. */
const maxOrders = 200;

/**
 * Asks the stock for the decisions that events have not brought in time, the oldest first: so orders are decided, and taken,
 * while the bus is away, and whatever it has lost. The events that come later find everything done.
 */
export function askForDecisions(on: {
  readonly orders: Pick<OrderStore, "listPending">;
  readonly reservations: Pick<Reservations, "decide">;
  readonly followStock: FollowStock;
  readonly clock: Clock;
  readonly log: Logger;
}): Omit<Job, "lease"> {
  return {
    name: "ask-for-decisions",
    intervalMs,
    async run() {
      const waiting = await on.orders.listPending(new Date(on.clock().getTime() - askAfterMs), maxOrders);
      if (waiting.length === 0) return;
      on.log.warn({ orders: waiting.length }, "orders wait for their stock, asking it");
      const decisions = await on.reservations.decide(waiting);
      // One that was called off has ended before.
      const decidedAs = (wanted: StockDecision["outcome"]) => decisions.filter(({ outcome }) => outcome === wanted);
      await on.followStock.confirm(decidedAs("reserved"));
      await on.followStock.reject(decidedAs("refused"));
    },
  };
}
