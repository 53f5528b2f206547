import { expect, test } from "vitest";
import { ConcurrencyLimiter } from "./concurrency-limiter.ts";

const adjustEveryMs = 100;

/**
 * Simulates a shop behind a limiter in steps of a millisecond: `decided` orders a second are decided, `arriving` ones a second arrive, and
 * shed orders are not retried. An order is stored, and so visible, after `storedAfterMs`; the oldest `unseen` orders are never visible.
 */
function openShop(decided: number, { storedAfterMs = 0, unseen = 0 } = {}) {
  const limiter = new ConcurrencyLimiter();
  const admittedAt: number[] = [];
  let now = 0;
  let [first, stored, due, done] = [0, 0, 0, 0];
  const waitedMs = () => (first + unseen < stored ? now - admittedAt[first + unseen]! : 0);
  return {
    run(seconds: number, arriving: number) {
      const seen = { decided: 0, shed: 0, longestUndecidedMs: 0, longestQueuedMs: 0 };
      const arrive = (arrivedAt: number) => {
        if (limiter.sheds(arrivedAt)) seen.shed++;
        else {
          limiter.wait(() => {
            admittedAt.push(now);
            seen.longestQueuedMs = Math.max(seen.longestQueuedMs, now - arrivedAt);
          });
        }
      };
      for (const end = now + seconds * 1_000; now < end; now++) {
        for (due += arriving / 1_000; due >= 1; due--) arrive(now);
        for (; admittedAt[stored]! + storedAfterMs <= now; stored++) limiter.placed();
        for (done = Math.min(done, 1) + decided / 1_000; done >= 1 && first < stored; done--) {
          seen.longestUndecidedMs = Math.max(seen.longestUndecidedMs, now - admittedAt[first++]!);
          seen.decided++;
        }
        if (now % adjustEveryMs === 0) limiter.adjust(now, waitedMs());
      }
      return seen;
    },
  };
}

test("orders below the rate of decisions are admitted without queueing", () => {
  expect(openShop(1_000).run(10, 900)).toMatchObject({ shed: 0, longestQueuedMs: 0 });
});

test.each([
  [50, 100],
  [1_000, 2_000],
  [1_000, 10_000],
  [5_000, 10_000],
])(
  "a shop that decides %i orders a second stays busy when %i arrive, and decides each within two seconds",
  (decided, arriving) => {
    const shop = openShop(decided);
    // The limit is not adjusted to the rate yet.
    shop.run(10, arriving);
    const seen = shop.run(60, arriving);
    expect(seen.decided / 60).toBeGreaterThan(0.9 * decided);
    expect(seen.longestQueuedMs + seen.longestUndecidedMs).toBeLessThan(2_000);
  },
);

test.each([1_000, 5_000])(
  "a shop of %i decisions a second decides within two seconds when ten times as many orders arrive before its rate is known",
  (decided) => {
    const seen = openShop(decided).run(3, 10 * decided);
    expect(seen.longestUndecidedMs).toBeLessThan(2_000);
    expect(seen.decided / 3).toBeGreaterThan(0.6 * decided);
  },
);

test("after a short rush as many orders are decided as before it", () => {
  const shop = openShop(1_000);
  shop.run(5, 500);
  const rush = shop.run(1, 5_000);
  expect(rush.shed).toBeGreaterThan(0);
  expect(shop.run(10, 500).decided).toBeGreaterThan(4_900);
});

test("after an overload no order is shed or queued", () => {
  const { run } = openShop(1_000);
  run(20, 5_000);
  run(2, 500);
  expect(run(5, 900)).toMatchObject({ shed: 0, longestQueuedMs: 0 });
});

test.each([
  [400, 0],
  [400, 256],
  [100, 256],
])(
  "the limiter recovers from an overload when orders take %i ms to be stored and the oldest %i are never visible",
  (storedAfterMs, unseen) => {
    const { run } = openShop(1_000, { storedAfterMs, unseen });
    run(30, 5_000);
    expect(run(30, 5_000).decided).toBeGreaterThan(20_000);
    run(2, 500);
    expect(run(5, 500)).toMatchObject({ shed: 0 });
  },
);

test("an order that leaves the queue is not admitted", () => {
  const limiter = new ConcurrencyLimiter();
  let isFull = false;
  // Fills the limiter up to the first order that is queued.
  while (!isFull) {
    isFull = true;
    limiter.wait(() => {
      isFull = false;
    });
  }
  const admitted: string[] = [];
  const [leaves, stays] = [() => void admitted.push("leaves"), () => void admitted.push("stays")];
  limiter.wait(leaves);
  limiter.wait(stays);
  limiter.leave(leaves);
  // All orders before are stored, and none is undecided.
  for (let count = 0; count < 1_500; count++) limiter.placed();
  limiter.adjust(1, 0);
  expect(admitted).toEqual(["stays"]);
});

test("a process that has admitted no order yet admits some while the orders of other processes are overdue", () => {
  const limiter = new ConcurrencyLimiter();
  for (let now = 0; now <= 5_000; now += adjustEveryMs) limiter.adjust(now, 1_000 + now);
  const admitted: number[] = [];
  let shed = 0;
  for (let count = 0; count < 100; count++) {
    if (limiter.sheds(5_000)) shed++;
    else limiter.wait(() => admitted.push(count));
  }
  expect(admitted[0]).toBe(0);
  expect(shed).toBeGreaterThan(60);
});
