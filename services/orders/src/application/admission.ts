import { type Clock, type DomainError, FairShares, type Job, type Logger } from "@shop/core";
import { networksPerSite, sharersOf } from "@shop/http-port";
import { orderShareExceeded, ordersOverloaded } from "../domain/errors.ts";
import { ConcurrencyLimiter } from "./concurrency-limiter.ts";
import type { OrderStore } from "./ports/order-store.ts";

const measureIntervalMs = 100;
/** An undecided order of this age counts as overdue. An order queues no longer than this, either. */
const overdueMs = 1_000;
/** Orders being placed in a process. More would only wait for each other: a process writes some thousands a second. */
const maxPlacing = 1_000;

/** Accounts that have not ordered before may use this part of the limit; the rest is for accounts that have. */
const newcomersPart = 0.8;
/** Accounts that are remembered to have ordered. */
const maxKnown = 100_000;
/** The most that one order weighs, as a part of the limit: otherwise a large order would never fit. */
const heaviestPart = 1 / 4;

export interface OrderLoad {
  readonly account: string;
  /** The client address. */
  readonly address: string;
  readonly lines: number;
}

/** Load shedding for CreateOrder: refuses at once the orders that can't be decided soon, so that accepted orders are decided soon. */
export interface Admission {
  /**
   * Calls `place` when there is room for the order. Without calling it, throws ORDERS_OVERLOADED when there is no room soon, and
   * ORDER_SHARE_EXCEEDED when the undecided lines of the account or its network use up their share.
   */
  admit<Placed>(place: () => Promise<Placed>, load?: OrderLoad): Promise<Placed>;
  /** The error with which an order would be refused now. */
  refusal(): DomainError | undefined;
  /** Measures the age of undecided orders, while orders arrive. Runs in every replica, so it has no lease. */
  readonly job: Job;
}

/**
 * Three limits:
 *
 * 1. The backlog: all orders are refused while more than `maxBacklog` undecided orders are overdue, wherever they are delayed: in an
 *    outbox, on the bus, in inventory, or in a consumer here. Up to `maxBacklog` stuck orders change nothing.
 * 2. Fair shares: an account may have `linesPerAccount` undecided order lines in this process, a network `linesPerNetwork`, a site
 *    {@link networksPerSite} times as many; 0 means no limit. Near the limit, accounts that have not ordered before and the largest
 *    holders are refused first.
 * 3. The concurrency limiter, which slows orders down before the backlog grows that far.
 *
 * An order weighs as much as it has lines.
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
  // Creating an error costs more than the rest of a refusal. These differ in their retry times.
  const refusals = Array.from({ length: 64 }, ordersOverloaded);
  let placing = 0;
  let refused = 0;
  let isBehind = false;
  /** Whether orders have arrived or were undecided since the last measurement. */
  let isActive = false;

  function isFull(): boolean {
    return isBehind || placing >= maxPlacing || limiter.sheds(performance.now());
  }

  function nextRefusal(): DomainError {
    return refusals[refused++ % refusals.length]!;
  }

  function remember(account: string): void {
    known.delete(account);
    known.add(account);
    if (known.size > maxKnown) known.delete(known.values().next().value!);
  }

  /** Takes the order's share of the limits, and returns the function that releases it, which may be called repeatedly. */
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

  function waitForRoom(lines: number, decided: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAdmitted = () => {
        clearTimeout(timeout);
        resolve();
      };
      const timeout = setTimeout(() => {
        limiter.leave(onAdmitted);
        reject(nextRefusal());
      }, overdueMs);
      limiter.wait(onAdmitted, lines, decided);
    });
  }

  return {
    async admit(place, load) {
      isActive = true;
      if (isFull()) throw nextRefusal();
      const lines = load?.lines ?? 1;
      const releaseShare = load === undefined ? () => {} : takeShare(load);
      placing++;
      try {
        await waitForRoom(lines, releaseShare);
        const placed = await place().finally(() => limiter.placed(lines));
        if (load !== undefined) remember(load.account);
        return placed;
      } catch (error) {
        releaseShare();
        throw error;
      } finally {
        placing--;
      }
    },
    refusal() {
      isActive = true;
      return isFull() ? nextRefusal() : undefined;
    },
    job: {
      name: "measure-backlog",
      intervalMs: measureIntervalMs,
      async run() {
        if (!isActive) return;
        const wasBehind = isBehind;
        const since = await on.orders.pendingSince(on.maxBacklog);
        // Stays active while orders are undecided: otherwise the first order after a pause would be refused for an outdated measurement.
        isActive = since !== undefined;
        const waitedMs = since === undefined ? 0 : on.clock().getTime() - since.getTime();
        isBehind = waitedMs > overdueMs;
        limiter.adjust(performance.now(), waitedMs);
        shares.resize(limiter.most);
        if (isBehind && !wasBehind) on.log.warn("too many orders are undecided: new ones are refused");
        if (wasBehind && !isBehind) on.log.info("orders are accepted again");
      },
    },
  };
}
