import { expect, test } from "vitest";
import { RestartDelay } from "./restart-delay.ts";

test("the restart delay doubles with each consecutive death before readiness, up to 5 s", () => {
  const delay = new RestartDelay();
  const waits = Array.from({ length: 7 }, () => delay.afterDeath(false, 1_000));
  expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(delay.afterDeath(true, 60_000)).toBe(0);
  expect(delay.afterDeath(false, 1_000)).toBe(200);
});

test("a process that was ready is restarted at once, but at most twice a second", () => {
  const delay = new RestartDelay();
  expect(delay.afterDeath(true, 499.5)).toBe(1);
  expect(delay.afterDeath(true, 100)).toBe(400);
  expect(delay.afterDeath(true, 500)).toBe(0);
});
