import { type DescField, type DescMessage, getOption, type Message } from "@bufbuild/protobuf";
import {
  buildPath,
  type PathBuilder,
  type ReflectList,
  type ReflectMap,
  type ReflectMessage,
  reflect,
} from "@bufbuild/protobuf/reflect";
import { Violation } from "@bufbuild/protovalidate";
import { type FieldRules, field as fieldRules, Ignore } from "@shop/gen/buf/validate/validate_pb";
import { maxViolations } from "@shop/rest";
import { longestMatch } from "./schema-regexp.ts";

/** The sizes that the schema allows for a field; Infinity if unbounded. */
export interface Sizes {
  /** Items of a list, entries of a map. */
  readonly maxCount: number;
  /** Of a string or bytes, of each item of a list, of each value of a map. */
  readonly value: Lengths;
  /** Of each key of a map. */
  readonly key: Lengths;
  /** The schema leaves validation of this field to its method (IGNORE_ALWAYS). */
  readonly isIgnored: boolean;
}

export interface Lengths {
  readonly maxCharacters: number;
  readonly maxBytes: number;
  /** The longest text that matches the field's pattern. */
  readonly maxMatch: number;
}

const sizes = new WeakMap<DescField, Sizes>();

/** The sizes that the rules of `buf.validate` set for a field. */
export function sizesOf(field: DescField): Sizes {
  const known = sizes.get(field) ?? readSizes(field);
  sizes.set(field, known);
  return known;
}

function readSizes(field: DescField): Sizes {
  const rules = getOption(field, fieldRules);
  const isIgnored = rules.ignore === Ignore.ALWAYS;
  const { type } = rules;
  switch (type.case) {
    case "repeated":
      return { maxCount: limit(type.value.maxItems), value: lengths(type.value.items), key: unbounded, isIgnored };
    case "map": {
      const { maxPairs, keys, values } = type.value;
      return { maxCount: limit(maxPairs), value: lengths(values), key: lengths(keys), isIgnored };
    }
    default:
      return { maxCount: Number.POSITIVE_INFINITY, value: lengths(rules), key: unbounded, isIgnored };
  }
}

const unbounded: Lengths = {
  maxCharacters: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  maxMatch: Number.POSITIVE_INFINITY,
};

function lengths(rules: FieldRules | undefined): Lengths {
  const type = rules?.type;
  if (type?.case === "bytes") {
    const { maxLen, len } = type.value;
    return { ...unbounded, maxBytes: Math.min(limit(maxLen), limit(len)) };
  }
  if (type?.case !== "string") return unbounded;
  const { maxLen, len, maxBytes, lenBytes, pattern, in: allowed } = type.value;
  return {
    maxCharacters: Math.min(limit(maxLen), limit(len)),
    maxBytes: Math.min(limit(maxBytes), limit(lenBytes)),
    maxMatch: Math.min(
      pattern === "" ? Number.POSITIVE_INFINITY : longestMatch(pattern),
      allowed.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...allowed.map((text) => text.length)),
    ),
  };
}

/** An absent rule is 0. */
function limit(rule: bigint): number {
  return rule === 0n ? Number.POSITIVE_INFINITY : Number(rule);
}

/** The parts of a message that exceed the schema's sizes. */
export interface Measured {
  /** At most 20. */
  readonly violations: readonly Violation[];
  /** Fields, items and entries; Infinity if a list or map is too long, since its contents are not counted. */
  readonly values: number;
  /** UTF-16 units of all strings, plus bytes. */
  readonly length: number;
}

/**
 * Measures the fields of a message. The contents of fields that are too large are skipped, so the cost is bounded by that of
 * the largest valid message.
 */
export function measure(schema: DescMessage, message: Message): Measured {
  const tape = new Tape();
  tape.message(reflect(schema, message), buildPath(schema));
  return tape;
}

class Tape implements Measured {
  readonly violations: Violation[] = [];
  values = 0;
  length = 0;

  message(message: ReflectMessage, path: PathBuilder): void {
    for (const field of message.desc.fields) {
      if (this.#isFull) return;
      if (!message.isSet(field) || sizesOf(field).isIgnored) continue;
      this.values++;
      const at = path.clone().field(field);
      switch (field.fieldKind) {
        case "message":
          this.message(message.get(field), at);
          break;
        case "scalar":
          this.#lengths(message.get(field), at, sizesOf(field).value);
          break;
        case "list":
          this.#list(message.get(field), at, sizesOf(field));
          break;
        case "map":
          this.#map(message.get(field), at, sizesOf(field));
      }
    }
  }

  #list(list: ReflectList, path: PathBuilder, { maxCount, value: most }: Sizes): void {
    if (list.size > maxCount) {
      this.values = Number.POSITIVE_INFINITY;
      this.#violate(path, `must contain no more than ${maxCount} item(s)`, "repeated.max_items");
      return;
    }
    this.values += list.size;
    const holdsMessages = list.field().listKind === "message";
    if (!holdsMessages && most === unbounded) return;
    for (let index = 0; index < list.size && !this.#isFull; index++) {
      const at = path.clone().list(index);
      if (holdsMessages) this.message(list.get(index) as ReflectMessage, at);
      else this.#lengths(list.get(index), at, most);
    }
  }

  #map(map: ReflectMap, path: PathBuilder, sizes: Sizes): void {
    if (map.size > sizes.maxCount) {
      this.values = Number.POSITIVE_INFINITY;
      this.#violate(path, `map must be at most ${sizes.maxCount} entries`, "map.max_pairs");
      return;
    }
    this.values += map.size;
    for (const [key, value] of map) {
      if (this.#isFull) return;
      const at = path.clone().map(key as string);
      this.#lengths(key, at, sizes.key, true);
      if (map.field().mapKind === "message") this.message(value as ReflectMessage, at);
      else this.#lengths(value, at, sizes.value);
    }
  }

  #lengths(value: unknown, path: PathBuilder, { maxCharacters, maxBytes }: Lengths, isKey = false): void {
    if (value instanceof Uint8Array) {
      this.length += value.byteLength;
      if (value.byteLength > maxBytes) this.#violate(path, `must be at most ${maxBytes} bytes`, "bytes.max_len");
    } else if (typeof value === "string") {
      this.length += value.length;
      if (isLonger(value, maxCharacters))
        this.#violate(path, `must be at most ${maxCharacters} characters`, "string.max_len", isKey);
      // A character has at least one byte.
      else if (value.length > maxBytes || (maxBytes < 3 * value.length && Buffer.byteLength(value) > maxBytes))
        this.#violate(path, `must be at most ${maxBytes} bytes`, "string.max_bytes", isKey);
    }
  }

  /** In protovalidate's words, which reports the same violations in messages that it validates in full. */
  #violate(path: PathBuilder, words: string, rule: string, isKey = false): void {
    if (!this.#isFull) this.violations.push(new Violation(words, rule, path.toPath(), [], isKey));
  }

  get #isFull(): boolean {
    return this.violations.length >= maxViolations;
  }
}

/** Whether a text has more characters (code points). They are counted only if the number of UTF-16 units does not decide it. */
function isLonger(text: string, maxCharacters: number): boolean {
  if (text.length <= maxCharacters) return false;
  if (text.length > 2 * maxCharacters) return true;
  let characters = 0;
  for (const _ of text) characters++;
  return characters > maxCharacters;
}
