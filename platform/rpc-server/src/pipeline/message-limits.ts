import { type DescField, type DescMessage, type DescMethod, ScalarType } from "@bufbuild/protobuf";
import { hasOwnJsonForm, type MessageCheck } from "@shop/rest";
import { countBinary } from "./count-binary.ts";
import { countJson } from "./count-json.ts";
import { type Lengths, sizesOf } from "./size-rules.ts";

/** Allowance for fields of newer schema versions. */
const spareValues = 1_000;
/** For a schema without bounds, such as those of other vendors' services behind our gateway. */
const defaultMaxValues = 100_000;

const maxMaskPaths = 100;
const maxMaskCharacters = 20_000;

const checks = new WeakMap<DescMessage, MessageCheck>();

/**
 * Limits the number of values in a message to the sum of the sizes that its schema allows: a larger message would fail
 * validation anyway, after it had been decoded. A message with fewer bytes than the limit of values is not scanned.
 */
export function messageCheck({ input }: DescMethod): MessageCheck {
  const check = checks.get(input) ?? createCheck(input);
  checks.set(input, check);
  return check;
}

function createCheck(message: DescMessage): MessageCheck {
  const { values, characters, hasMask } = largest(message, new Set());
  // In JSON a mask is one string, whose commas separate paths.
  const most = spareValues + values + (hasMask ? characters : 0);
  const maxValues = Number.isFinite(most) ? most : defaultMaxValues;
  // An integer in a string is parsed before its field's rules are checked, in more than linear time.
  const maxDigits = spareValues + characters;
  const tooMany = `the request has more than ${maxValues} values`;
  return {
    problem(bytes, isBinary) {
      if (bytes.byteLength <= Math.min(maxValues, maxDigits)) return undefined;
      if (isBinary) return countBinary(message, bytes, maxValues) > maxValues ? tooMany : undefined;
      const count = countJson(bytes, { maxValues, maxDigits, inTexts: hasMask });
      if (count === Number.POSITIVE_INFINITY)
        return `the request nests too deep, or has more than ${maxDigits} digits in a row`;
      return count > maxValues ? tooMany : undefined;
    },
  };
}

/** The size of the largest message that the schema allows; Infinity if unbounded. */
interface Largest {
  /** Fields, items, map entries, and the brackets of JSON. */
  readonly values: number;
  /** Of all strings. */
  readonly characters: number;
  readonly hasMask: boolean;
}

const endless: Largest = { values: Number.POSITIVE_INFINITY, characters: Number.POSITIVE_INFINITY, hasMask: false };

function largest(message: DescMessage, above: ReadonlySet<DescMessage>): Largest {
  switch (message.typeName) {
    case "google.protobuf.FieldMask":
      return { values: maxMaskPaths, characters: maxMaskCharacters, hasMask: true };
    case "google.protobuf.Timestamp":
    case "google.protobuf.Duration":
      return { values: 4, characters: 0, hasMask: false };
  }
  const holdsAnything = hasOwnJsonForm(message) && message.fields.length !== 1;
  if (holdsAnything || above.has(message)) return endless;
  const path = new Set([...above, message]);
  return message.fields
    .map((field) => largestField(field, path))
    .reduce(plus, { values: 2, characters: 0, hasMask: false });
}

function largestField(field: DescField, above: ReadonlySet<DescMessage>): Largest {
  const { maxCount, value, key } = sizesOf(field);
  const one = field.message === undefined ? largestScalar(field.scalar, value) : largest(field.message, above);
  if (field.fieldKind !== "list" && field.fieldKind !== "map") return { ...one, values: one.values + 1 };
  const keyCharacters = field.fieldKind === "map" ? largestScalar(field.mapKey, key).characters : 0;
  return {
    values: 3 + maxCount * (one.values + 3),
    // Infinity times 0 would be NaN.
    characters: one.characters + keyCharacters === 0 ? 0 : maxCount * (one.characters + keyCharacters),
    hasMask: one.hasMask,
  };
}

function largestScalar(type: ScalarType | undefined, { maxCharacters, maxBytes, maxMatch }: Lengths): Largest {
  const isText = type === ScalarType.STRING || type === ScalarType.BYTES;
  return { values: 1, characters: isText ? Math.min(maxCharacters, maxBytes, maxMatch) : 0, hasMask: false };
}

function plus(one: Largest, other: Largest): Largest {
  return {
    values: one.values + other.values,
    characters: one.characters + other.characters,
    hasMask: one.hasMask || other.hasMask,
  };
}
