import { expect, test } from "vitest";
import { seededRandom } from "../resilience/random.ts";
import { pairwise } from "./pairwise.ts";

const dimensions = { a: ["1", "2", "3"], b: ["x", "y"], c: ["p", "q", "r", "s"], d: ["only"] };

test("every pair of values of different dimensions is in some row", () => {
  const rows = pairwise(dimensions, seededRandom(7));
  const names = Object.keys(dimensions) as (keyof typeof dimensions)[];
  for (const one of names) {
    for (const other of names.filter((name) => name !== one)) {
      for (const value of dimensions[one]) {
        const met = new Set(rows.filter((row) => row[one] === value).map((row) => row[other]));
        expect([...met].toSorted()).toEqual(dimensions[other].toSorted());
      }
    }
  }
  expect(rows.length).toBeLessThan(3 * 2 * 4);
});

test("the same seed gives the same rows", () => {
  expect(pairwise(dimensions, seededRandom(7))).toEqual(pairwise(dimensions, seededRandom(7)));
});
