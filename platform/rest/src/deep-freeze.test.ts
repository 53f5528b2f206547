import { create } from "@bufbuild/protobuf";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import { expect, test } from "vitest";
import { deepFreeze, memoize } from "./deep-freeze.ts";

const message = () => create(BadRequestSchema, { fieldViolations: [{ field: "name" }] });

test("a frozen message can't be changed, nor anything in it", () => {
  const it = deepFreeze(message());
  expect(() => it.fieldViolations.pop()).toThrow(TypeError);
  expect(() => {
    it.fieldViolations[0]!.field = "other";
  }).toThrow(TypeError);
  expect(deepFreeze(it)).toBe(it);
});

test("a value is computed once per name for a frozen message, and every time for a mutable one", () => {
  const [once, again] = [deepFreeze(message()), message()];
  let made = 0;
  const make = () => ++made;
  expect([memoize(once, "a", make), memoize(once, "a", make), memoize(once, "b", make)]).toEqual([1, 1, 2]);
  expect([memoize(again, "a", make), memoize(again, "a", make)]).toEqual([3, 4]);
});

test("a failed computation is repeated", () => {
  const it = deepFreeze(message());
  expect(() =>
    memoize(it, "a", () => {
      throw new Error("not now");
    }),
  ).toThrow("not now");
  expect(memoize(it, "a", () => 1)).toBe(1);
});
