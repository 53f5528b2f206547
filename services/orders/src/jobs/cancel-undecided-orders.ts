import { type Clock, DomainError, type Job, type Logger } from "@shop/core";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { cancelUndecided } from "../application/move-order.ts";

const intervalMs = 5_000;
const maxOrders = 1_000;

/**
 * Cancels orders that the stock has not decided in time, so that every accepted order ends. If the decision comes at the
 * same moment, whoever moves the order first wins; what was reserved is released by the event.
 */
export function cancelUndecidedOrders(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly decisionDeadlineMs: number;
}): Omit<Job, "lease"> {
  return {
    name: "cancel-undecided-orders",
    intervalMs,
    async run(signal) {
      const overdue = await on.orders.listPending(new Date(on.clock().getTime() - on.decisionDeadlineMs), maxOrders);
      for (const { orderId } of overdue) {
        if (signal.aborted) return;
        await cancelUndecided(on, orderId).catch((error) => {
          if (!(error instanceof DomainError && error.reason === "ORDER_BUSY")) throw error;
        });
      }
      if (overdue.length > 0)
        on.log.warn({ orders: overdue.length }, "orders were not decided in time and are cancelled");
    },
  };
}
