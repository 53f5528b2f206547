import { expect, test, vi } from "vitest";
import { retryOnConflict } from "./retry-on-conflict.ts";

/** Conflicts so often, then answers which call it was. */
const conflicting = (conflicts: number) => {
  let calls = 0;
  return vi.fn(async () => (++calls > conflicts ? calls : undefined));
};

test("a write that was too late is decided anew, until one is in time", async () => {
  expect(await retryOnConflict(conflicting(4), () => new Error("busy"))).toBe(5);
});

test("after five conflicts the caller is told that it is busy", async () => {
  const attempt = conflicting(5);
  await expect(retryOnConflict(attempt, () => new Error("busy"))).rejects.toThrow("busy");
  expect(attempt).toHaveBeenCalledTimes(5);
});

test("where one of the writers always succeeds there is no limit", async () => {
  expect(await retryOnConflict(conflicting(50))).toBe(51);
});

test("an error is no conflict", async () => {
  const attempt = vi.fn(async () => await Promise.reject(new Error("lost")));
  await expect(retryOnConflict(attempt, () => new Error("busy"))).rejects.toThrow("lost");
  expect(attempt).toHaveBeenCalledTimes(1);
});
