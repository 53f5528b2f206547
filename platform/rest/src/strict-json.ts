import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonReadOptions,
  type JsonValue,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { fieldNamed, hasOwnJsonForm, isWide } from "./fields.ts";
import { ExactInteger, parseJsonBody } from "./json-text.ts";
import { cutText } from "./refusal-limits.ts";

/**
 * Rejects values that protobuf-es accepts against the JSON specification of protobuf: it passes numbers, dates and bytes in
 * strings to JavaScript, which reads "0x1" and "" as integers and February 30 as March 2. Every JSON message is checked before
 * protobuf-es decodes it, and so are values in a URL.
 *
 * @returns whether all scalars, Timestamps and Durations are well-formed; nothing else is checked
 */
export function isStrict(message: DescMessage, json: JsonValue): boolean {
  if (hasOwnJsonForm(message)) return ownFormProblem(message, json) === undefined;
  if (!isObject(json)) return true;
  for (const key in json) {
    const field = fieldNamed(message, key);
    const value = json[key]!;
    if (field === undefined || value === null) continue;
    if (field.message === undefined) {
      if (scalarProblem(field, value) !== undefined) return false;
    } else if (field.fieldKind === "list") {
      if (Array.isArray(value)) for (const item of value) if (!isStrict(field.message, item)) return false;
    } else if (field.fieldKind === "map") {
      if (keyProblem(field, value) !== undefined) return false;
      if (isObject(value)) for (const item in value) if (!isStrict(field.message, value[item]!)) return false;
    } else if (!isStrict(field.message, value)) return false;
  }
  return true;
}

/** Decodes a message from JSON bytes. Throws if they are not JSON, do not decode, or are not {@link isStrict}. */
export function decodeJson(message: DescMessage, bytes: Uint8Array, options?: Partial<JsonReadOptions>): Message {
  const { json } = parseJsonBody(bytes);
  if (!isStrict(message, json)) throw new Error(`the JSON is not that of ${message.typeName}`);
  return fromJson(message, json, options);
}

/** Why JSON is not a value of a scalar field (also of its items or map values); undefined if it may be one. */
export function scalarProblem(field: DescField, json: JsonValue): string | undefined {
  const { scalar } = field;
  if (scalar === undefined) return keyProblem(field, json);
  if (field.fieldKind === "list") return Array.isArray(json) ? firstProblem(scalar, json) : undefined;
  if (field.fieldKind !== "map") return valueProblem(scalar, json);
  return keyProblem(field, json) ?? (isObject(json) ? firstProblem(scalar, Object.values(json)) : undefined);
}

function firstProblem(type: ScalarType, values: readonly JsonValue[]): string | undefined {
  for (const value of values) {
    const problem = valueProblem(type, value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function keyProblem(field: DescField, json: JsonValue): string | undefined {
  if (field.fieldKind !== "map" || field.mapKey === ScalarType.STRING || !isObject(json)) return undefined;
  return firstProblem(field.mapKey, Object.keys(json));
}

/** Like {@link scalarProblem}, for a message whose JSON is a single value. */
export function ownFormProblem(message: DescMessage, json: JsonValue): string | undefined {
  if (message.typeName === "google.protobuf.Timestamp") return typeof json === "string" ? dateProblem(json) : undefined;
  if (message.typeName === "google.protobuf.Duration")
    return typeof json === "string" && !duration.test(json)
      ? `expected a duration such as "1.5s", got ${quote(json)}`
      : undefined;
  const [value] = message.fields;
  return message.fields.length === 1 && value?.fieldKind === "scalar" ? valueProblem(value.scalar, json) : undefined;
}

const integer = /^-?(?:0|[1-9]\d*)$/;
const number = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|-?Infinity|NaN)$/;
const base64 = /^(?:[\w+/-]{4})*(?:[\w+/-]{2}(?:==)?|[\w+/-]{3}=?)?$/;
const duration = /^-?\d+(?:\.\d{1,9})?s$/;

/** Why JSON is not a value of a scalar; undefined if it may be one. */
export function valueProblem(type: ScalarType, json: JsonValue): string | undefined {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BOOL:
      return undefined;
    case ScalarType.BYTES:
      return typeof json === "string" && !base64.test(json) ? "expected bytes in base64" : undefined;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return typeof json === "string" && !number.test(json) ? `expected a number, got ${quote(json)}` : undefined;
    default:
      if (typeof json === "string") return integer.test(json) ? undefined : `expected an integer, got ${quote(json)}`;
      if (isWide(type) && isRounded(json)) return "expected an integer beyond 2^53 as text, so that no digit is lost";
      return undefined;
  }
}

function isRounded(json: unknown): boolean {
  return (
    json instanceof ExactInteger || (typeof json === "number" && Number.isInteger(json) && !Number.isSafeInteger(json))
  );
}

const daysOfMonths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Checks that the day and hour of an RFC 3339 date and time exist. */
function dateProblem(text: string): string | undefined {
  const [, year, month, day, hour] = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):/.exec(text)?.map(Number) ?? [];
  if (hour === undefined) return undefined;
  const isLeap = year! % 4 === 0 && (year! % 100 !== 0 || year! % 400 === 0);
  const days = month === 2 && !isLeap ? 28 : (daysOfMonths[month! - 1] ?? 0);
  return day! < 1 || day! > days || hour > 23 ? `${quote(text)} is not an existing date and time` : undefined;
}

function quote(text: string): string {
  return JSON.stringify(cutText(text, 60));
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return (
    json !== null && typeof json === "object" && !Array.isArray(json) && !((json as unknown) instanceof ExactInteger)
  );
}
