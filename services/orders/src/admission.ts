import type { Clock, Job, Logger } from "@shop/platform";
import { ordersOverloaded } from "./domain/errors.ts";
import type { OrderStore } from "./store/order-store.ts";

const measureIntervalMs = 100;
/** More would only wait for each other: a process writes some thousands a second. */
const maxAtOnce = 1_000;

/** Keeps orders from queueing: what can't be decided soon is refused at once, so that what is accepted is decided soon. */
export interface Admission {
  /** Places an order if there is room; throws ORDERS_OVERLOADED, and nothing is done, if there is none. */
  admit<Placed>(place: () => Promise<Placed>): Promise<Placed>;
  /** Looks how far behind the stock is, while anybody asks. For every replica, so without a lease. */
  readonly job: Job;
}

/**
 * There is no room while more than `maxBacklog` orders have waited longer than `maxWaitMs` for their stock, wherever they are
 * held up: an outbox, the bus, the inventory, or the way back. A few that are stuck close nothing.
 */
export function createAdmission(on: {
  readonly orders: Pick<OrderStore, "hasBacklog">;
  readonly clock: Clock;
  readonly maxBacklog: number;
  readonly maxWaitMs: number;
  readonly log: Logger;
}): Admission {
  let placing = 0;
  let isBehind = false;
  let asked = false;

  return {
    async admit(place) {
      asked = true;
      if (isBehind || placing >= maxAtOnce) throw ordersOverloaded();
      placing++;
      try {
        return await place();
      } finally {
        placing--;
      }
    },
    job: {
      name: "measure-backlog",
      intervalMs: measureIntervalMs,
      async run() {
        if (!asked) return;
        asked = false;
        const wasBehind = isBehind;
        isBehind = await on.orders.hasBacklog(new Date(on.clock().getTime() - on.maxWaitMs), on.maxBacklog);
        if (isBehind && !wasBehind) on.log.warn("too many orders wait for their stock, new ones are refused");
        if (wasBehind && !isBehind) on.log.info("orders are taken again");
      },
    },
  };
}
