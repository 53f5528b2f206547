import { expect, test } from "vitest";
import { ConcurrencyLimiter } from "./concurrency-limiter.ts";

const adjustEveryMs = 100;

/**
 * A shop behind a limiter, a millisecond at a time: some come and some are decided, each a second; an order that is shed does
 * not come back. It takes `storedAfterMs` until an order can be seen, and the oldest `unseen` never are.
 */
function openShop(decided: number, { storedAfterMs = 0, unseen = 0 } = {}) {
  const limiter = new ConcurrencyLimiter();
  const passedAt: number[] = [];
  let now = 0;
  let [first, stored, due, done] = [0, 0, 0, 0];
  const waitedMs = () => (first + unseen < stored ? now - passedAt[first + unseen]! : 0);
  return {
    run(seconds: number, most: number) {
      const seen = { decided: 0, shed: 0, longestMs: 0, longestAtTheDoorMs: 0 };
      const come = (cameAt: number) => {
        if (limiter.sheds(cameAt)) seen.shed++;
        else {
          limiter.wait(() => {
            passedAt.push(now);
            seen.longestAtTheDoorMs = Math.max(seen.longestAtTheDoorMs, now - cameAt);
          });
        }
      };
      for (const end = now + seconds * 1_000; now < end; now++) {
        for (due += most / 1_000; due >= 1; due--) come(now);
        for (; passedAt[stored]! + storedAfterMs <= now; stored++) limiter.placed();
        for (done = Math.min(done, 1) + decided / 1_000; done >= 1 && first < stored; done--) {
          seen.longestMs = Math.max(seen.longestMs, now - passedAt[first++]!);
          seen.decided++;
        }
        if (now % adjustEveryMs === 0) limiter.adjust(now, waitedMs());
      }
      return seen;
    },
  };
}

test("whoever comes while orders are decided in time passes at once", () => {
  expect(openShop(1_000).run(10, 900)).toMatchObject({ shed: 0, longestAtTheDoorMs: 0 });
});

test.each([
  [50, 100],
  [1_000, 2_000],
  [1_000, 10_000],
  [5_000, 10_000],
])(
  "a shop that decides %i a second and is asked for %i is kept busy, and none waits for two seconds",
  (most, asked) => {
    const shop = openShop(most);
    // The first who come meet an open limiter.
    shop.run(10, asked);
    const seen = shop.run(60, asked);
    expect(seen.decided / 60).toBeGreaterThan(0.9 * most);
    expect(seen.longestAtTheDoorMs + seen.longestMs).toBeLessThan(2_000);
  },
);

test.each([1_000, 5_000])(
  "of a crowd that meets an open limiter of %i a second no order waits for two seconds",
  (most) => {
    const seen = openShop(most).run(3, 10 * most);
    expect(seen.longestMs).toBeLessThan(2_000);
    expect(seen.decided / 3).toBeGreaterThan(0.6 * most);
  },
);

test("what comes at once before the rate is known is decided, and after it as much as before", () => {
  const shop = openShop(1_000);
  shop.run(5, 500);
  const rush = shop.run(1, 5_000);
  expect(rush.shed).toBeGreaterThan(0);
  expect(shop.run(10, 500).decided).toBeGreaterThan(4_900);
});

test("once it is calm again no order is shed, or queues", () => {
  const { run } = openShop(1_000);
  run(20, 5_000);
  run(2, 500);
  expect(run(5, 900)).toMatchObject({ shed: 0, longestAtTheDoorMs: 0 });
});

test.each([
  [400, 0],
  [400, 256],
  [100, 256],
])(
  "orders that take %i ms to be stored, the oldest %i of which are not seen, do not close the limiter for good",
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
  // Whoever has to wait is the last that came.
  while (!isFull) {
    isFull = true;
    limiter.wait(() => {
      isFull = false;
    });
  }
  const passed: string[] = [];
  const [leaves, stays] = [() => void passed.push("leaves"), () => void passed.push("stays")];
  limiter.wait(leaves);
  limiter.wait(stays);
  limiter.leave(leaves);
  // None of those before is on its way any more, and none waits: they are decided.
  for (let count = 0; count < 1_500; count++) limiter.placed();
  limiter.adjust(1, 0);
  expect(passed).toEqual(["stays"]);
});

test("a process that has let nobody in yet, while orders of others wait for long, goes on to work", () => {
  const limiter = new ConcurrencyLimiter();
  for (let now = 0; now <= 5_000; now += adjustEveryMs) limiter.adjust(now, 1_000 + now);
  const passed: number[] = [];
  let shed = 0;
  for (let count = 0; count < 100; count++) {
    if (limiter.sheds(5_000)) shed++;
    else limiter.wait(() => passed.push(count));
  }
  expect(passed[0]).toBe(0);
  expect(shed).toBeGreaterThan(60);
});
