import { type Clock, DomainError, type Job, type Logger } from "@shop/core";
import type { OrderStore } from "../application/ports/order-store.ts";
import { secondsBetween } from "../application/stock-decisions.ts";
import { cancelUndecided } from "../application/transition-order.ts";

const intervalMs = 5_000;
const maxOrders = 1_000;

/**
 * Cancels orders that inventory has not decided in time, so that no accepted order stays pending. If the decision arrives at the same
 * moment, the first compare-and-set wins; inventory releases the stock when it consumes OrderCancelled.
 */
export function cancelUndecidedOrders(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly decisionDeadlineMs: number;
  /** Measures the time from placing an order to its end. */
  readonly decidedAfter: (seconds: number) => void;
}): Omit<Job, "lease"> {
  return {
    name: "cancel-undecided-orders",
    intervalMs,
    async run(signal) {
      const overdue = await on.orders.listPending(new Date(on.clock().getTime() - on.decisionDeadlineMs), maxOrders);
      for (const { orderId, createTime } of overdue) {
        if (signal.aborted) return;
        try {
          await cancelUndecided(on, orderId);
          on.decidedAfter(secondsBetween(createTime, on.clock()));
        } catch (error) {
          if (!(error instanceof DomainError && error.reason === "ORDER_BUSY")) throw error;
        }
      }
      if (overdue.length > 0) on.log.warn({ orders: overdue.length }, "cancelled orders that were not decided in time");
    },
  };
}
