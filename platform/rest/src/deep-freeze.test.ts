import { create } from "@bufbuild/protobuf";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import { expect, test } from "vitest";
import { deepFreeze, memoize } from "./deep-freeze.ts";

const message = () => create(BadRequestSchema, { fieldViolations: [{ field: "name" }] });

test("what never changes can't be changed, nor anything in it", () => {
  const it = deepFreeze(message());
  expect(() => it.fieldViolations.pop()).toThrow(TypeError);
  expect(() => {
    it.fieldViolations[0]!.field = "other";
  }).toThrow(TypeError);
  expect(deepFreeze(it)).toBe(it);
});

test("what is made of it is made once for each name; of what may change, each time", () => {
  const [once, again] = [deepFreeze(message()), message()];
  let made = 0;
  const make = () => ++made;
  expect([memoize(once, "a", make), memoize(once, "a", make), memoize(once, "b", make)]).toEqual([1, 1, 2]);
  expect([memoize(again, "a", make), memoize(again, "a", make)]).toEqual([3, 4]);
});

test("what could not be made is tried again", () => {
  const it = deepFreeze(message());
  expect(() =>
    memoize(it, "a", () => {
      throw new Error("not now");
    }),
  ).toThrow("not now");
  expect(memoize(it, "a", () => 1)).toBe(1);
});
