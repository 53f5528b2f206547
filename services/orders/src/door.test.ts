import { expect, test } from "vitest";
import { Door } from "./door.ts";

const adjustEveryMs = 100;

/**
 * A shop behind a door, a millisecond at a time: some come and some are decided, each a second; whoever is turned away does
 * not come back.
 */
function openShop(decided: number) {
  const door = new Door();
  const asked: number[] = [];
  let now = 0;
  let [passed, first, due, done] = [0, 0, 0, 0];
  return {
    run(seconds: number, most: number) {
      const seen = { decided: 0, turnedAway: 0, longestMs: 0, longestAtTheDoorMs: 0 };
      for (const end = now + seconds * 1_000; now < end; now++) {
        for (due += most / 1_000; due >= 1; due--) {
          const waitMs = door.ask(now);
          if (waitMs === undefined) seen.turnedAway++;
          else {
            asked.push(now + waitMs);
            seen.longestAtTheDoorMs = Math.max(seen.longestAtTheDoorMs, waitMs);
          }
        }
        for (; asked[passed]! <= now; passed++) door.pass();
        for (done = Math.min(done, 1) + decided / 1_000; done >= 1 && first < passed; done--) {
          seen.longestMs = Math.max(seen.longestMs, now - asked[first++]!);
          seen.decided++;
        }
        if (now % adjustEveryMs === 0) door.adjust(now, first < passed ? now - asked[first]! : 0);
      }
      return seen;
    },
  };
}

test("whoever comes while orders are decided in time passes at once", () => {
  expect(openShop(1_000).run(10, 900)).toMatchObject({ turnedAway: 0, longestAtTheDoorMs: 0 });
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
    // The first who come meet an open door.
    shop.run(10, asked);
    const seen = shop.run(60, asked);
    expect(seen.decided / 60).toBeGreaterThan(0.9 * most);
    expect(seen.longestMs).toBeLessThan(2_000);
    expect(seen.longestAtTheDoorMs).toBeLessThanOrEqual(350);
  },
);

test("what comes at once before the door knows is decided, and after it as much as before", () => {
  const shop = openShop(1_000);
  shop.run(5, 500);
  const rush = shop.run(1, 5_000);
  expect(rush.turnedAway).toBeGreaterThan(0);
  expect(shop.run(10, 500).decided).toBeGreaterThan(4_900);
});

test("once it is calm again nobody is turned away, and soon nobody waits", () => {
  const { run } = openShop(1_000);
  run(20, 5_000);
  run(5, 500);
  expect(run(5, 500).turnedAway).toBe(0);
  run(5, 0);
  expect(run(5, 900)).toMatchObject({ turnedAway: 0, longestAtTheDoorMs: 0 });
});

test("a process that has let nobody in yet, while orders of others wait for long, goes on to work", () => {
  const door = new Door();
  for (let now = 0; now <= 5_000; now += adjustEveryMs) door.adjust(now, 1_000 + now);
  expect(door.ask(5_000)).toBe(0);
  door.pass();
  const asked = Array.from({ length: 100 }, () => door.ask(5_001));
  expect(asked.filter((waitMs) => waitMs === undefined).length).toBeGreaterThan(90);
});
