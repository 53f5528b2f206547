import type { Clock, Job, Logger, Outbox } from "@shop/platform";
import type { OrderStore } from "../store/order-store.ts";
import { placedEvent } from "../wire/events.ts";

/** An order whose stock has not answered by then may have been lost on the way. */
const announceAfterMs = 30_000;
const intervalMs = 10_000;
const maxOrders = 1_000;

/**
 * Announces orders again that have waited too long for their stock, for as long as they do. The bus keeps what it has
 * acknowledged only as well as its disk does: the database is the truth.
 */
export function announcePendingOrders(on: {
  readonly orders: OrderStore;
  readonly repeat: Outbox["publishNow"];
  readonly clock: Clock;
  readonly log: Logger;
}): Omit<Job, "lease"> {
  return {
    name: "announce-pending-orders",
    intervalMs,
    async run() {
      const now = on.clock();
      const waiting = await on.orders.listPending(new Date(now.getTime() - announceAfterMs), maxOrders);
      if (waiting.length === 0) return;
      on.log.warn({ orders: waiting.length }, "orders wait for their stock, announcing them again");
      await on.repeat(waiting.map((order) => placedEvent(order, now.getTime())));
    },
  };
}
