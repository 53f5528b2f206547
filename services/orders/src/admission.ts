import type { Clock, DomainError, Job, Logger } from "@shop/platform";
import { ordersOverloaded } from "./domain/errors.ts";
import { Door } from "./door.ts";
import type { OrderStore } from "./store/order-store.ts";

const measureIntervalMs = 100;
/** More than `maxBacklog` orders that wait longer let nobody in, and nobody waits longer to be let in. */
const tooLongMs = 1_000;
/** More would only wait for each other: a process writes some thousands a second. */
const maxAtOnce = 1_000;

/** Keeps orders from queueing: what can't be decided soon is refused at once, so that what is accepted is decided soon. */
export interface Admission {
  /** Places an order when there is room for it; throws ORDERS_OVERLOADED, and nothing is done, if there is none soon. */
  admit<Placed>(place: () => Promise<Placed>): Promise<Placed>;
  /** What an order that was placed now would be refused with. */
  refusal(): DomainError | undefined;
  /** Looks how far behind the stock is, while anybody asks. For every replica, so without a lease. */
  readonly job: Job;
}

/**
 * There is no room while more than `maxBacklog` orders have waited too long for their stock, wherever they are held up: an
 * outbox, the bus, the inventory, or the way back. Before it comes to that, orders are let in more slowly. That many that are
 * stuck do neither.
 */
export function createAdmission(on: {
  readonly orders: Pick<OrderStore, "pendingSince">;
  readonly clock: Clock;
  readonly maxBacklog: number;
  readonly log: Logger;
}): Admission {
  const door = new Door();
  // To make an error for every refusal costs more than to refuse. They differ in when to try again.
  const refusals = Array.from({ length: 64 }, ordersOverloaded);
  let placing = 0;
  let refused = 0;
  let isBehind = false;
  let asked = false;

  function isFull(): boolean {
    return isBehind || placing >= maxAtOnce || door.turnsAway(performance.now());
  }

  function nextRefusal(): DomainError {
    return refusals[refused++ % refusals.length]!;
  }

  function atTheDoor(): Promise<void> {
    return new Promise((resolve, reject) => {
      const pass = () => {
        clearTimeout(timeout);
        resolve();
      };
      const timeout = setTimeout(() => {
        door.leave(pass);
        reject(nextRefusal());
      }, tooLongMs);
      door.wait(pass);
    });
  }

  return {
    async admit(place) {
      asked = true;
      if (isFull()) throw nextRefusal();
      placing++;
      try {
        await atTheDoor();
        return await place().finally(() => door.placed());
      } finally {
        placing--;
      }
    },
    refusal() {
      asked = true;
      return isFull() ? nextRefusal() : undefined;
    },
    job: {
      name: "measure-backlog",
      intervalMs: measureIntervalMs,
      async run() {
        if (!asked) return;
        const wasBehind = isBehind;
        const since = await on.orders.pendingSince(on.maxBacklog);
        // While some wait, too: or who asks when nobody has for long would be refused for what was then.
        asked = since !== undefined;
        const waitedMs = since === undefined ? 0 : on.clock().getTime() - since.getTime();
        isBehind = waitedMs > tooLongMs;
        door.adjust(performance.now(), waitedMs);
        if (isBehind && !wasBehind) on.log.warn("too many orders wait for their stock, new ones are refused");
        if (wasBehind && !isBehind) on.log.info("orders are taken again");
      },
    },
  };
}
