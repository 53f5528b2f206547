import { type DescField, type DescMessage, type DescMethod, ScalarType } from "@bufbuild/protobuf";
import { countBinary } from "./count-binary.ts";
import { countJson } from "./count-json.ts";
import type { MessageCheck } from "./refusal-limits.ts";
import { hasOwnJsonForm } from "./rest/fields.ts";
import { type Lengths, sizesOf } from "./size-rules.ts";

/** What a request message of a type may cost before anything of it is decoded. */
interface MessageLimits {
  /** In either encoding, uncompressed. */
  readonly maxBytes: number;
  /** Values: scalars, messages, items, pairs, and unknown fields. */
  readonly maxValues: number;
  /** A FieldMask is one text in JSON, whose commas are those of a list. */
  readonly hasMask: boolean;
}

/** However small the schema makes a message, callers of another version may send more than this one knows. */
const leastMaxBytes = 64 * 1024;
const leastMaxValues = 1_000;
/** For a schema that sets no bound: others' services, whose gateway we are. */
const defaultMaxValues = 100_000;

const maxMaskPaths = 100;
const maxMaskBytes = 20_000;

const limits = new WeakMap<DescMessage, MessageLimits>();

/**
 * Checks messages by what the sizes that their schema allows add up to: what is larger would be refused by the schema's rules,
 * once it had been decoded and validated. A message with fewer bytes than it may have values is not looked at.
 *
 * @param readMaxBytes the most that a message may have, whatever its schema says
 */
export function messageCheck({ input }: DescMethod, readMaxBytes: number): MessageCheck {
  const { maxBytes, maxValues, hasMask } = limitsOf(input);
  return {
    maxBytes: Math.min(maxBytes, readMaxBytes),
    problem(message, isBinary) {
      if (message.byteLength <= maxValues) return undefined;
      const values = isBinary ? countBinary(input, message, maxValues) : countJson(message, maxValues, hasMask);
      return values > maxValues ? `the request has more than ${maxValues} values` : undefined;
    },
  };
}

function limitsOf(message: DescMessage): MessageLimits {
  let known = limits.get(message);
  if (known === undefined) {
    const { bytes, values, characters, hasMask } = largest(message, new Set());
    const maxValues = leastMaxValues + values + (hasMask ? characters : 0);
    known = {
      maxBytes: Math.max(leastMaxBytes, 2 * bytes),
      maxValues: Number.isFinite(maxValues) ? maxValues : defaultMaxValues,
      hasMask,
    };
    limits.set(message, known);
  }
  return known;
}

interface Largest {
  readonly bytes: number;
  readonly values: number;
  readonly characters: number;
  readonly hasMask: boolean;
}

const nothing: Largest = { bytes: 0, values: 0, characters: 0, hasMask: false };
const endless = Number.POSITIVE_INFINITY;

function largest(message: DescMessage, above: ReadonlySet<DescMessage>): Largest {
  if (message.typeName === "google.protobuf.FieldMask")
    return { bytes: maxMaskBytes, values: maxMaskPaths, characters: maxMaskBytes, hasMask: true };
  if (message.typeName === "google.protobuf.Timestamp" || message.typeName === "google.protobuf.Duration")
    return { ...nothing, bytes: 100, values: 4 };
  if (above.has(message) || (hasOwnJsonForm(message) && message.fields.length !== 1))
    return { bytes: endless, values: endless, characters: endless, hasMask: false };
  const path = new Set([...above, message]);
  return message.fields.map((field) => largestField(field, path)).reduce(plus, { ...nothing, bytes: 50, values: 2 });
}

function largestField(field: DescField, above: ReadonlySet<DescMessage>): Largest {
  const { maxCount, value, key } = sizesOf(field);
  const one = field.message === undefined ? largestText(field, value) : largest(field.message, above);
  // Its name, quotes, a comma, blanks; in binary less.
  const named = { ...one, bytes: one.bytes + field.name.length + 50, values: one.values + 1 };
  if (field.fieldKind !== "list" && field.fieldKind !== "map") return named;
  const keyBytes = field.fieldKind === "map" ? bytesOf(key) : 0;
  const item = { ...named, bytes: named.bytes + keyBytes, values: named.values + 3 };
  return plus(times(item, maxCount), { ...nothing, bytes: 50, values: 3 });
}

function largestText(field: DescField, sizes: Lengths): Largest {
  if (field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES) return { ...nothing, bytes: 80 };
  const characters = Math.min(sizes.maxCharacters, sizes.maxBytes, sizes.maxMatch);
  return { ...nothing, bytes: bytesOf(sizes), characters };
}

/** JSON may write every unit of a character in six bytes, and a character has two units at most. */
function bytesOf({ maxCharacters, maxBytes, maxMatch }: Lengths): number {
  return 12 * Math.min(maxCharacters, maxBytes, maxMatch);
}

function plus(one: Largest, other: Largest): Largest {
  return {
    bytes: one.bytes + other.bytes,
    values: one.values + other.values,
    characters: one.characters + other.characters,
    hasMask: one.hasMask || other.hasMask,
  };
}

function times({ bytes, values, characters, hasMask }: Largest, count: number): Largest {
  // Nothing, however often, is nothing.
  return {
    bytes: bytes * count,
    values: values * count,
    characters: characters === 0 ? 0 : characters * count,
    hasMask,
  };
}
