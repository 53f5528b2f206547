import { expect, test } from "vitest";
import { planFaults, victims } from "./nemesis.ts";
import { seededRandom } from "./random.ts";

const plan = (seed: number) => planFaults(seededRandom(seed).fork("faults"), 90_000);

test("the same seed gives the same faults, another seed others", () => {
  expect(plan(1)).toEqual(plan(1));
  expect(plan(2)).not.toEqual(plan(1));
});

test.each([1, 2, 3, 4, 5])("with seed %i every victim is hit once before any is hit again", (seed) => {
  const hit = plan(seed).map(({ victim }) => victim);
  expect(hit.length).toBeGreaterThan(victims.length);
  expect(new Set(hit.slice(0, victims.length))).toEqual(new Set(victims));
});

test("only one member of a cluster is down at a time", () => {
  const ofMongo = planFaults(seededRandom(3), 600_000).filter(({ victim }) => victim.startsWith("mongodb"));
  for (const [index, fault] of ofMongo.entries()) {
    const next = ofMongo[index + 1];
    if (next !== undefined) expect(next.atMs).toBeGreaterThan(fault.atMs + fault.forMs);
  }
});

test("random numbers of one stream do not depend on those of another", () => {
  const [one, other] = [seededRandom(1), seededRandom(1)];
  one.next();
  expect(one.fork("buyer").next()).toBe(other.fork("buyer").next());
  expect(one.fork("clerk").next()).not.toBe(other.fork("buyer").next());
});
