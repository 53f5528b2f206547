import { expect, test } from "vitest";
import { keyRotation, nextSignTime, retiredKeys, signingKeyAt } from "./token-key.ts";

const dayMs = 24 * 60 * 60 * 1000;
const minuteMs = 60 * 1000;
const rotation = keyRotation(30 * dayMs, 10 * minuteMs);
const at = (ms: number) => new Date(ms);
const keyAt = (generation: number, ms: number) => ({ kid: `${generation}`, generation, x: "", signTime: at(ms) });

test("a key does not sign before its time, and signs until the next one does", () => {
  const [first, second] = [keyAt(1, 0), keyAt(2, 30 * dayMs)];
  expect(signingKeyAt([first, second], at(-1))).toBeUndefined();
  expect(signingKeyAt([first, second], at(30 * dayMs - 1))).toBe(first);
  expect(signingKeyAt([first, second], at(30 * dayMs))).toBe(second);
});

test("the next key is generated at least ten minutes before it signs", () => {
  const newest = keyAt(1, 0);
  expect(nextSignTime(newest, at(30 * dayMs - 10 * minuteMs - 1), rotation)).toBeUndefined();
  expect(nextSignTime(newest, at(30 * dayMs - 10 * minuteMs), rotation)).toEqual(at(30 * dayMs));
  // No process was running when it was due.
  expect(nextSignTime(newest, at(40 * dayMs), rotation)).toEqual(at(40 * dayMs + 10 * minuteMs));
});

test("a key is retired after its last token has expired", () => {
  const keys = [keyAt(1, 0), keyAt(2, 30 * dayMs)];
  expect(retiredKeys(keys, at(30 * dayMs + 20 * minuteMs), rotation)).toEqual([]);
  expect(retiredKeys(keys, at(30 * dayMs + 20 * minuteMs + 1), rotation)).toEqual([keys[0]]);
  expect(retiredKeys([keys[0]!], at(900 * dayMs), rotation)).toEqual([]);
});
