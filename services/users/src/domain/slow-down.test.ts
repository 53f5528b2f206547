import { expect, test } from "vitest";
import { waitSeconds } from "./slow-down.ts";

test("five failures are free, and each further one doubles the wait, up to 15 minutes", () => {
  const waits = Array.from({ length: 18 }, (_, own) => waitSeconds({ own, anywhere: 0 }, 5));
  expect(waits).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
});

test("failures from other networks cost a minute at most, however many there are", () => {
  expect(waitSeconds({ own: 0, anywhere: 4 }, 5)).toBe(0);
  expect(waitSeconds({ own: 0, anywhere: 8 }, 5)).toBe(8);
  expect(waitSeconds({ own: 1, anywhere: 1_000_000 }, 5)).toBe(60);
});
