import { expect, test, vi } from "vitest";
import { retryOnConflict } from "./retry-on-conflict.ts";

/** Conflicts this many times, then returns the number of the call. */
const conflicting = (conflicts: number) => {
  let calls = 0;
  return vi.fn(async () => (++calls > conflicts ? calls : undefined));
};

test("an attempt that lost to another write is repeated until one succeeds", async () => {
  expect(await retryOnConflict(conflicting(4), () => new Error("busy"))).toBe(5);
});

test("after five conflicts the busy error is thrown", async () => {
  const attempt = conflicting(5);
  await expect(retryOnConflict(attempt, () => new Error("busy"))).rejects.toThrow("busy");
  expect(attempt).toHaveBeenCalledTimes(5);
});

test("without a busy error the number of attempts is unlimited", async () => {
  expect(await retryOnConflict(conflicting(50))).toBe(51);
});

test("an error is not retried", async () => {
  const attempt = vi.fn(async () => await Promise.reject(new Error("lost")));
  await expect(retryOnConflict(attempt, () => new Error("busy"))).rejects.toThrow("lost");
  expect(attempt).toHaveBeenCalledTimes(1);
});
