import type { DescField, DescMessage, JsonObject, JsonValue, ScalarType } from "@bufbuild/protobuf";
import { fieldMaskJson } from "./field-mask.ts";
import { fieldNamed, isWide } from "./fields.ts";
import { ExactInteger, type ParsedJson } from "./json-text.ts";

/**
 * Prepares parsed JSON for protobuf-es, in place: an ExactInteger becomes text in a 64-bit field and a number elsewhere, and
 * FieldMasks in proto names are converted.
 */
export function normalizeJson(message: DescMessage, { json, exact }: ParsedJson): JsonValue {
  return exact || holdsFieldMask(message) ? normalizeMessage(message, json) : json;
}

/** Like normalizeJson, for the value of one field. */
export function normalizeFieldJson(field: DescField, { json, exact }: ParsedJson): JsonValue {
  return exact || (field.message !== undefined && holdsFieldMask(field.message)) ? normalizeField(field, json) : json;
}

function normalizeMessage(message: DescMessage, json: JsonValue): JsonValue {
  if (message.typeName === "google.protobuf.FieldMask")
    return typeof json === "string" ? fieldMaskJson(json) : toNumbers(json);
  if (isObject(json)) {
    for (const key of Object.keys(json)) {
      const field = fieldNamed(message, key);
      const value = json[key] as JsonValue;
      json[key] = field === undefined ? toNumbers(value) : normalizeField(field, value);
    }
    return json;
  }
  // The JSON of a wrapper is the bare value.
  const value = message.fields.length === 1 ? message.fields[0] : undefined;
  return value?.fieldKind === "scalar" ? scalar(value.scalar, json) : toNumbers(json);
}

function normalizeField(field: DescField, json: JsonValue): JsonValue {
  const one = (value: JsonValue): JsonValue => {
    if (field.message !== undefined) return normalizeMessage(field.message, value);
    return field.scalar === undefined ? toNumbers(value) : scalar(field.scalar, value);
  };
  if (field.fieldKind === "list" && Array.isArray(json)) return mapInPlace(json, one);
  if (field.fieldKind === "map" && isObject(json)) return mapInPlace(json, one);
  return one(json);
}

function scalar(type: ScalarType, json: JsonValue): JsonValue {
  const exact: unknown = json;
  if (!(exact instanceof ExactInteger)) return toNumbers(json);
  return isWide(type) ? exact.digits : Number(exact.digits);
}

/** For values without a 64-bit field: Struct, unknown keys (refused later), values of wrong types. */
function toNumbers(json: JsonValue): JsonValue {
  const exact: unknown = json;
  if (exact instanceof ExactInteger) return Number(exact.digits);
  return Array.isArray(json) || isObject(json) ? mapInPlace(json, toNumbers) : json;
}

/** Assigns only to own keys, so that a key such as `__proto__` is an ordinary key. */
function mapInPlace<T extends JsonObject | JsonValue[]>(container: T, map: (value: JsonValue) => JsonValue): T {
  const record = container as JsonObject;
  for (const key of Object.keys(record)) record[key] = map(record[key] as JsonValue);
  return container;
}

function isObject(json: JsonValue): json is JsonObject {
  return (
    json !== null && typeof json === "object" && !Array.isArray(json) && !((json as unknown) instanceof ExactInteger)
  );
}

const fieldMaskHolders = new WeakMap<DescMessage, boolean>();

function holdsFieldMask(message: DescMessage): boolean {
  let holds = fieldMaskHolders.get(message);
  if (holds === undefined) {
    holds = reachesFieldMask(message, new Set());
    fieldMaskHolders.set(message, holds);
  }
  return holds;
}

function reachesFieldMask(message: DescMessage, seen: Set<DescMessage>): boolean {
  if (message.typeName === "google.protobuf.FieldMask") return true;
  if (seen.has(message)) return false;
  seen.add(message);
  return message.fields.some((field) => field.message !== undefined && reachesFieldMask(field.message, seen));
}
