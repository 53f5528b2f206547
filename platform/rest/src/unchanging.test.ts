import { create } from "@bufbuild/protobuf";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import { expect, test } from "vitest";
import { madeOnce, unchanging } from "./unchanging.ts";

const message = () => create(BadRequestSchema, { fieldViolations: [{ field: "name" }] });

test("what never changes can't be changed, nor anything in it", () => {
  const it = unchanging(message());
  expect(() => it.fieldViolations.pop()).toThrow(TypeError);
  expect(() => {
    it.fieldViolations[0]!.field = "other";
  }).toThrow(TypeError);
  expect(unchanging(it)).toBe(it);
});

test("what is made of it is made once for each name; of what may change, each time", () => {
  const [once, again] = [unchanging(message()), message()];
  let made = 0;
  const make = () => ++made;
  expect([madeOnce(once, "a", make), madeOnce(once, "a", make), madeOnce(once, "b", make)]).toEqual([1, 1, 2]);
  expect([madeOnce(again, "a", make), madeOnce(again, "a", make)]).toEqual([3, 4]);
});

test("what could not be made is tried again", () => {
  const it = unchanging(message());
  expect(() =>
    madeOnce(it, "a", () => {
      throw new Error("not now");
    }),
  ).toThrow("not now");
  expect(madeOnce(it, "a", () => 1)).toBe(1);
});
