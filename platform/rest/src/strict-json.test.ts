import { type DescField, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import {
  BytesValueSchema,
  DoubleValueSchema,
  DurationSchema,
  Int32ValueSchema,
  Int64ValueSchema,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ExactInteger } from "./json-text.ts";
import { decodeJson, isStrict, scalarProblem } from "./strict-json.ts";
import { testMessage } from "./testdata/descriptors.ts";

const everything = testMessage("library.v1.EverythingRequest");

const notIntegers = [
  "0x1",
  "0b1",
  "0o7",
  "1e3",
  "1.0",
  "1.5",
  " 1",
  "1 ",
  "1\n",
  "",
  "+1",
  "01",
  "-01",
  "1_000",
  "\u0661",
];

describe("an integer consists of decimal digits", () => {
  test.each(["0", "1", "-1", "120", "-0", 1, -1, 1000])("%j is an integer", (json) => {
    expect(isStrict(Int32ValueSchema, json)).toBe(true);
    expect(isStrict(Int64ValueSchema, json)).toBe(true);
    expect(isStrict(everything, { int32Value: json, int64_value: json })).toBe(true);
  });
  test.each(notIntegers)("%j is not an integer", (json) => {
    expect(isStrict(Int32ValueSchema, json)).toBe(false);
    expect(isStrict(Int64ValueSchema, json)).toBe(false);
    for (const name of ["int32_value", "uint32Value", "sint32_value", "fixed32_value", "sfixed32_value"])
      expect(isStrict(everything, { [name]: json })).toBe(false);
    for (const name of ["int64_value", "uint64Value", "sint64_value", "fixed64_value", "sfixed64_value"])
      expect(isStrict(everything, { [name]: json })).toBe(false);
    expect(isStrict(everything, { int64s: ["1", json] })).toBe(false);
    expect(isStrict(everything, { nested: { nested: { number: json } } })).toBe(false);
    expect(isStrict(everything, { nesteds: [{ number: 1 }, { number: json }] })).toBe(false);
  });
  test("one that a number can't hold must be text", () => {
    const rounded = 2 ** 53;
    expect(isStrict(Int64ValueSchema, rounded)).toBe(false);
    expect(isStrict(Int64ValueSchema, new ExactInteger("9007199254740993") as unknown as JsonValue)).toBe(false);
    expect(isStrict(Int64ValueSchema, "9007199254740993")).toBe(true);
  });
  test("also as a map key", () => {
    const field = { fieldKind: "map", mapKey: ScalarType.INT32, scalar: ScalarType.STRING } as DescField;
    expect(scalarProblem(field, { 1: "a", "-2": "b" })).toBeUndefined();
    for (const key of notIntegers) expect(scalarProblem(field, { [key]: "a" })).toMatch(/^expected an integer/);
  });
});

test.each(["0x1", " 1", "", "+1", ".5", "5.", "01", "inf", "1e", "--1"])("%j is not a number", (json) => {
  expect(isStrict(DoubleValueSchema, json)).toBe(false);
});
test.each(["1", "-1.5", "1e3", "1.5E-3", "NaN", "Infinity", "-Infinity", 1.5])("%j is a number", (json) => {
  expect(isStrict(DoubleValueSchema, json)).toBe(true);
});

test.each(["A", "AA=", "AA=A", "A A=", "AA\n==", "AAA==", "!!", "===="])("%j is not base64", (json) => {
  expect(isStrict(BytesValueSchema, json)).toBe(false);
});
test.each(["", "AA", "AA==", "AAA=", "AAAA", "_-8=", "+/8"])("%j is base64", (json) => {
  expect(isStrict(BytesValueSchema, json)).toBe(true);
});

test.each([
  "2026-02-30T00:00:00Z",
  "2026-02-29T00:00:00Z",
  "1900-02-29T00:00:00Z",
  "2026-04-31T23:59:59+01:00",
  "2026-06-00T00:00:00Z",
  "2026-13-01T00:00:00Z",
  "2026-01-01T24:00:00Z",
])("%s is not a date and time", (json) => {
  expect(isStrict(TimestampSchema, json)).toBe(false);
});
test.each(["2024-02-29T00:00:00Z", "2000-02-29T23:59:59.999999999-12:30", "0001-01-01T00:00:00Z"])(
  "%s is a date and time",
  (json) => {
    expect(isStrict(TimestampSchema, json)).toBe(true);
  },
);

test.each(["1sx", "1", "s", "+1s", "1.s", "1.1234567891s", "0x1s", " 1s"])("%j is not a duration", (json) => {
  expect(isStrict(DurationSchema, json)).toBe(false);
});
test.each(["1s", "-1.5s", "0.000000001s"])("%j is a duration", (json) => {
  expect(isStrict(DurationSchema, json)).toBe(true);
});

test.each([
  ["invalid UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ["a duplicate key", Buffer.from('{"int32_value": 1, "int32_value": 2}')],
  ["a number in hexadecimal digits", Buffer.from('{"int32_value": "0x1"}')],
])("bytes do not decode with %s", (_what, bytes) => {
  expect(() => decodeJson(everything, bytes)).toThrow();
});
