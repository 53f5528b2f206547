import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** The depth to which protobuf-es reads messages. */
const maxDepth = 100;

/** How the decoder reads a known field after its tag; it ignores the wire type in the tag. */
type Part =
  | { readonly kind: "scalar"; readonly wireType: WireType; readonly isPackable: boolean }
  | { readonly kind: "message"; readonly message: () => Parts; readonly isGroup: boolean };
type Parts = ReadonlyMap<number, Part>;

/**
 * Counts the values of an encoded message (https://protobuf.dev/programming-guides/encoding): fields, known or unknown, items
 * of packed lists, and the contents of submessages. Stops soon after `max`. Counts an invalid message as far as the decoder
 * would read it.
 */
export function countBinary(message: DescMessage, bytes: Uint8Array, max: number): number {
  const counter = new Counter(bytes, max);
  try {
    counter.message(partsOf(message), bytes.byteLength, 1);
  } catch {
    // The decoder fails at the same place, and reports the error.
  }
  return counter.values;
}

class Counter {
  values = 0;
  readonly #reader: BinaryReader;
  readonly #max: number;

  constructor(bytes: Uint8Array, max: number) {
    this.#reader = new BinaryReader(bytes);
    this.#max = max;
  }

  /** Reads the same bytes as protobuf-es: a submessage that overruns its parent ends where its own length says. */
  message(parts: Parts, end: number, depth: number, isGroup = false): void {
    const reader = this.#reader;
    if (depth > maxDepth) throw new Error("too deep");
    while (reader.pos < end && this.values <= this.#max) {
      const [number, wireType] = reader.tag();
      if (isGroup && wireType === WireType.EndGroup) return;
      this.values++;
      const part = parts.get(number);
      if (part === undefined) {
        const { byteLength } = reader.skip(wireType, number, maxDepth - depth);
        // The most fields that the skipped group could hold.
        if (wireType === WireType.StartGroup) this.values += byteLength / 2;
      } else if (part.kind === "scalar") this.#scalar(part, wireType);
      else if (part.isGroup) this.message(part.message(), reader.len, depth + 1, true);
      else {
        const length = reader.uint32();
        this.message(part.message(), reader.pos + length, depth + 1);
      }
    }
  }

  #scalar(part: Part & { readonly kind: "scalar" }, wireType: WireType): void {
    const reader = this.#reader;
    if (!part.isPackable || wireType !== WireType.LengthDelimited) {
      reader.skip(part.wireType);
      return;
    }
    const length = reader.uint32();
    const end = reader.pos + length;
    for (; reader.pos < end && this.values <= this.#max; this.values++) reader.skip(part.wireType);
  }
}

const known = new WeakMap<DescMessage, Parts>();

function partsOf(message: DescMessage): Parts {
  let parts = known.get(message);
  if (parts === undefined) {
    parts = new Map(message.fields.map((field) => [field.number, partOf(field)]));
    known.set(message, parts);
  }
  return parts;
}

function partOf(field: DescField): Part {
  if (field.fieldKind === "map") {
    const entry = new Map([
      [1, scalar(field.mapKey, false)],
      [2, field.message === undefined ? scalar(field.scalar, false) : messagePart(field.message, false)],
    ]);
    return { kind: "message", message: () => entry, isGroup: false };
  }
  if (field.message !== undefined) return messagePart(field.message, field.delimitedEncoding);
  return scalar(field.scalar, field.fieldKind === "list");
}

function messagePart(message: DescMessage, isGroup: boolean): Part {
  return { kind: "message", message: () => partsOf(message), isGroup };
}

/** @param type undefined for an enum */
function scalar(type: ScalarType | undefined, isList: boolean): Part {
  const wireType = type === undefined ? WireType.Varint : (wireTypes.get(type) ?? WireType.Varint);
  return { kind: "scalar", wireType, isPackable: isList && wireType !== WireType.LengthDelimited };
}

const wireTypes = new Map<ScalarType, WireType>([
  [ScalarType.STRING, WireType.LengthDelimited],
  [ScalarType.BYTES, WireType.LengthDelimited],
  [ScalarType.DOUBLE, WireType.Bit64],
  [ScalarType.FIXED64, WireType.Bit64],
  [ScalarType.SFIXED64, WireType.Bit64],
  [ScalarType.FLOAT, WireType.Bit32],
  [ScalarType.FIXED32, WireType.Bit32],
  [ScalarType.SFIXED32, WireType.Bit32],
]);
