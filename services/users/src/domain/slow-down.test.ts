import { expect, test } from "vitest";
import { waitSeconds } from "./slow-down.ts";

test("five failures cost nothing, and each one after them twice the wait of the one before, up to 15 minutes", () => {
  const waits = Array.from({ length: 18 }, (_, own) => waitSeconds({ own, anywhere: 0 }, 5));
  expect(waits).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
});

test("failures from elsewhere cost a minute at most, whoever makes them and however many", () => {
  expect(waitSeconds({ own: 0, anywhere: 4 }, 5)).toBe(0);
  expect(waitSeconds({ own: 0, anywhere: 8 }, 5)).toBe(8);
  expect(waitSeconds({ own: 1, anywhere: 1_000_000 }, 5)).toBe(60);
});
