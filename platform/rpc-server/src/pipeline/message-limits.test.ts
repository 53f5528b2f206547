import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import fc from "fast-check";
import { expect, test } from "vitest";
import { countBinary } from "./count-binary.ts";
import { countJson } from "./count-json.ts";
import { messageCheck } from "./message-limits.ts";

const { getDeadLetter } = DeadLetterService.method;
const check = messageCheck(getDeadLetter);
const all = { maxValues: 1e9, maxDigits: 1e9 };
const json = (text: string) => Buffer.from(text);

const badRequests = fc.record({
  fieldViolations: fc.array(
    fc.record({ field: fc.string({ maxLength: 5 }), description: fc.string({ maxLength: 5 }) }),
    {
      maxLength: 40,
    },
  ),
});

/** An upper bound of a request's values as its decoder sees them: every field, item and pair. */
function valuesIn(value: unknown): number {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return 1;
  return Object.entries(value)
    .filter(([name]) => name !== "$typeName")
    .reduce((sum, [, part]) => sum + valuesIn(part), 1);
}

test("the count of values never exceeds those in the message, in JSON and in binary", () => {
  fc.assert(
    fc.property(badRequests, (init) => {
      const message = create(BadRequestSchema, init);
      const most = valuesIn(message);
      expect(countBinary(BadRequestSchema, toBinary(BadRequestSchema, message), 1e9)).toBeLessThanOrEqual(most);
      const text = toJsonString(BadRequestSchema, message, { prettySpaces: 2, alwaysEmitImplicit: true });
      expect(countJson(json(text), { ...all, inTexts: false })).toBeLessThanOrEqual(
        most + message.fieldViolations.length + 1,
      );
    }),
  );
});

test("the contents of a string are not values, unless it lists the paths of a mask", () => {
  const text = json(JSON.stringify({ dead_letter_id: '\\",[{'.repeat(1_000) }));
  expect(countJson(text, { ...all, inTexts: false })).toBe(1);
  expect(countJson(text, { ...all, inTexts: true })).toBe(1_001);
});

const written = (write: (writer: BinaryWriter) => void) => {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
};
const times = (count: number, write: (writer: BinaryWriter) => void) =>
  written((writer) => {
    for (let index = 0; index < count; index++) write(writer);
  });

test.each<readonly [string, Uint8Array]>([
  ["unknown varints", times(5_000, (to) => to.tag(100, WireType.Varint).uint32(1))],
  ["unknown texts", times(5_000, (to) => to.tag(100, WireType.LengthDelimited).string(""))],
  ["unknown fixed64", times(5_000, (to) => to.tag(15, WireType.Bit64).fixed64(1n))],
  [
    "an unknown group of many",
    written((to) => {
      to.tag(15, WireType.StartGroup);
      for (let index = 0; index < 5_000; index++) to.tag(1, WireType.Varint).uint32(1);
      to.tag(15, WireType.EndGroup);
    }),
  ],
  ["unknown empty groups", times(5_000, (to) => to.tag(15, WireType.StartGroup).tag(15, WireType.EndGroup))],
  ["a field again and again", times(5_000, (to) => to.tag(1, WireType.LengthDelimited).string("1"))],
])("%s are counted before a message is decoded", (_kind, bytes) => {
  expect(check.problem(bytes, true)).toBe("the request has more than 1004 values");
});

test("a list of empty messages, a map and messages that overrun their parents are counted as they are decoded", () => {
  const empty = times(3_000, (to) => to.tag(1, WireType.LengthDelimited).bytes(new Uint8Array()));
  expect(fromBinary(EventBatchSchema, empty).events).toHaveLength(3_000);
  expect(countBinary(EventBatchSchema, empty, 1e9)).toBe(3_000);
  const entries = times(2_000, (to) => to.tag(3, WireType.LengthDelimited).bytes(new Uint8Array()));
  expect(countBinary(ErrorInfoSchema, entries, 1e9)).toBe(2_000);
  // The decoder reads a known field by its schema, whatever the wire type in its tag: bytes that look like one long string are
  // a thousand fields.
  const inside = times(1_000, (to) => to.tag(1, WireType.LengthDelimited).string(""));
  const disguised = written((to) => to.tag(1, WireType.Bit64).uint32(inside.byteLength).raw(inside));
  expect(countBinary(BadRequestSchema, disguised, 1e9)).toBeGreaterThan(1_000);
});

test("of bytes that do not decode, those that the decoder would read are counted", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(countBinary(BadRequestSchema, bytes, 1e9)).toBeLessThanOrEqual(bytes.byteLength + 1);
      countJson(bytes, { ...all, inTexts: true });
    }),
  );
});

test.each([
  ["objects", `[${"{},".repeat(5_000)}{}]`],
  ["keys", `{${'"a":1,'.repeat(5_000)}"b":1}`],
])("%s are counted before a text is parsed", (_kind, text) => {
  expect(check.problem(json(text), false)).toBe("the request has more than 1004 values");
});

test("a message without bounds may have 100,000 values", () => {
  const method = { ...getDeadLetter, input: StructSchema };
  const unbounded = messageCheck(method);
  expect(unbounded.problem(json(`{"a":[${"1,".repeat(99_990)}1]}`), false)).toBeUndefined();
  expect(unbounded.problem(json(`{"a":[${"1,".repeat(100_000)}1]}`), false)).toBe(
    "the request has more than 100000 values",
  );
});

test.each([
  ["levels", "[".repeat(2_000)],
  ["digits", `{"deadLetterId":${"9".repeat(2_000)}}`],
  ["digits in a text", `{"deadLetterId":"${"9".repeat(2_000)}"}`],
])("too many %s are refused before a text is parsed", (_kind, text) => {
  expect(check.problem(json(text), false)).toBe("the request nests too deep, or has more than 1015 digits in a row");
});
