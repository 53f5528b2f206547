import { expect, test } from "vitest";
import { FairShares } from "./fair-shares.ts";

/** How much a holder gets if it takes as much as it can. */
function fill(shares: FairShares, holders: readonly unknown[], weight = 1): number {
  let taken = 0;
  while (taken < 10_000 && shares.take(holders, weight)) taken += weight;
  return taken;
}

test("a holder gets no more than the limit of each of its scopes", () => {
  const shares = new FairShares(1_000, [100, 150]);
  expect(fill(shares, ["ann", "home"])).toBe(100);
  expect(fill(shares, ["bob", "home"])).toBe(50);
  expect(fill(shares, ["bob", "office"])).toBe(50);
});

test("if many holders take as much as they can, each gets a share, and so does a late one", () => {
  const shares = new FairShares(1_000, [1_000]);
  const got = Array.from({ length: 20 }, () => 0);
  for (let round = 0; round < 1_000; round++) {
    for (const holder of got.keys()) if (shares.take([holder])) got[holder]! += 1;
  }
  expect(Math.max(...got) - Math.min(...got)).toBeLessThanOrEqual(1);
  expect(shares.used).toBeLessThan(960);
  expect(fill(shares, ["late"])).toBeGreaterThanOrEqual(20);
});

test("when the total is nearly used up, the largest holders get nothing more, and the smallest still do", () => {
  const shares = new FairShares(100, [100]);
  expect(fill(shares, ["large"])).toBe(75);
  expect(fill(shares, ["small"])).toBeGreaterThanOrEqual(12);
  expect(shares.take(["large"])).toBe(false);
});

test("limits apply to the weight held, and released weight is available to others", () => {
  const shares = new FairShares(100, [60]);
  expect(fill(shares, ["large"], 20)).toBe(60);
  expect(shares.take(["other"], 41)).toBe(false);
  shares.release(["large"], 20);
  expect(shares.take(["large"], 21)).toBe(false);
  expect(shares.take(["other"], 35)).toBe(true);
  shares.release(["large"], 40);
  shares.release(["other"], 35);
  expect(shares.used).toBe(0);
});

test("in a scope with a limit of 0 one holder may take the whole total, and other scopes still apply", () => {
  const shares = new FairShares(100, [40, 0]);
  expect(fill(shares, ["ann", "proxy"])).toBe(40);
  expect(fill(shares, ["bob", "proxy"])).toBeGreaterThanOrEqual(30);
  expect(fill(shares, [undefined, "proxy"])).toBeGreaterThanOrEqual(20);
  expect(shares.used).toBe(100);
});

test("a total of 0 means unlimited", () => {
  const shares = new FairShares(0, [0, 0]);
  expect(shares.take(["large", "home"], 1e12)).toBe(true);
  expect(shares.take(["large", "home"], 1e12)).toBe(true);
});
