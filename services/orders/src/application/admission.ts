import { type Clock, type DomainError, FairShares, type Job, type Logger } from "@shop/core";
import { networksPerSite, sharersOf } from "@shop/http-port";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { orderShareExceeded, ordersOverloaded } from "../domain/errors.ts";
import { ConcurrencyLimiter } from "./concurrency-limiter.ts";

const measureIntervalMs = 100;
/** More than `maxBacklog` orders that wait longer let nobody in, and nobody waits longer to be let in. */
const tooLongMs = 1_000;
/** More would only wait for each other: a process writes some thousands a second. */
const maxAtOnce = 1_000;

/** Of what may be undecided accounts that have not ordered before get this part; the rest is for those that have. */
const newcomersPart = 0.8;
/** Accounts that are remembered to have ordered. */
const maxKnown = 100_000;
/** An order weighs no more than this part of what may be undecided: else there would never be room for a large one. */
const heaviestPart = 1 / 4;

/** Whose order it is, and how much of one. */
export interface OrderLoad {
  readonly account: string;
  /** Of the client. */
  readonly address: string;
  readonly lines: number;
}

/** Keeps orders from queueing: what can't be decided soon is refused at once, so that what is accepted is decided soon. */
export interface Admission {
  /**
   * Places an order when there is room for it. Throws, and nothing is done, ORDERS_OVERLOADED if there is none soon, and
   * ORDER_SHARE_EXCEEDED if its account or its network has as many lines undecided as is its share.
   */
  admit<Placed>(place: () => Promise<Placed>, load?: OrderLoad): Promise<Placed>;
  /** What an order that was placed now would be refused with. */
  refusal(): DomainError | undefined;
  /** Looks how far behind the stock is, while anybody asks. For every replica, so without a lease. */
  readonly job: Job;
}

/**
 * There is no room while more than `maxBacklog` orders have waited too long for their stock, wherever they are held up: an
 * outbox, the bus, the inventory, or the way back. Before it comes to that, orders are let in more slowly. That many that are
 * stuck do neither. An order weighs its lines. An account has `linesPerAccount` of them undecided in this process, a network
 * `linesPerNetwork`, a site {@link networksPerSite} times as many, 0 for no limit; in a crowd the largest holders are refused first,
 * and accounts that have ordered before are let in longer than others.
 */
export function createAdmission(on: {
  readonly orders: Pick<OrderStore, "pendingSince">;
  readonly clock: Clock;
  readonly maxBacklog: number;
  readonly linesPerAccount?: number;
  readonly linesPerNetwork?: number;
  readonly log: Logger;
}): Admission {
  const limiter = new ConcurrencyLimiter();
  const { linesPerAccount = 0, linesPerNetwork = 0 } = on;
  const shares = new FairShares(limiter.most, [linesPerAccount, linesPerNetwork, linesPerNetwork * networksPerSite]);
  const known = new Set<string>();
  // To make an error for every refusal costs more than to refuse. They differ in when to try again.
  const refusals = Array.from({ length: 64 }, ordersOverloaded);
  let placing = 0;
  let refused = 0;
  let isBehind = false;
  let asked = false;

  function isFull(): boolean {
    return isBehind || placing >= maxAtOnce || limiter.sheds(performance.now());
  }

  function nextRefusal(): DomainError {
    return refusals[refused++ % refusals.length]!;
  }

  function remember(account: string): void {
    known.delete(account);
    known.add(account);
    if (known.size > maxKnown) known.delete(known.values().next().value!);
  }

  /** Takes an order's share; answers how to give it back, more often than once if need be. */
  function takeShare({ account, address, lines }: OrderLoad): () => void {
    if (!known.has(account) && shares.used >= limiter.most * newcomersPart) throw nextRefusal();
    const holders = [account, ...sharersOf(address)];
    const weight = Math.max(1, Math.min(lines, Math.floor(limiter.most * heaviestPart)));
    if (!shares.take(holders, weight)) throw orderShareExceeded();
    let isHeld = true;
    return () => {
      if (isHeld) shares.release(holders, weight);
      isHeld = false;
    };
  }

  function atTheDoor(lines: number, decided: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const pass = () => {
        clearTimeout(timeout);
        resolve();
      };
      const timeout = setTimeout(() => {
        limiter.leave(pass);
        reject(nextRefusal());
      }, tooLongMs);
      limiter.wait(pass, lines, decided);
    });
  }

  return {
    async admit(place, load) {
      asked = true;
      if (isFull()) throw nextRefusal();
      const lines = load?.lines ?? 1;
      const giveBack = load === undefined ? () => {} : takeShare(load);
      placing++;
      try {
        await atTheDoor(lines, giveBack);
        const placed = await place().finally(() => limiter.placed(lines));
        if (load !== undefined) remember(load.account);
        return placed;
      } catch (error) {
        giveBack();
        throw error;
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
        limiter.adjust(performance.now(), waitedMs);
        shares.resize(limiter.most);
        if (isBehind && !wasBehind) on.log.warn("too many orders wait for their stock, new ones are refused");
        if (wasBehind && !isBehind) on.log.info("orders are taken again");
      },
    },
  };
}
