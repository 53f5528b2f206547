import { type DescField, type DescMessage, getOption, type MessageShape } from "@bufbuild/protobuf";
import { type Path, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { Violation } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { field as fieldRules, Ignore } from "@shop/gen/buf/validate/validate_pb";
import { Text, text } from "@shop/gen/shop/common/v1/text_pb";

/** Zero width space, word joiner, byte order mark. Not the joiners and marks that Persian, Indic scripts and emoji need. */
const stripped = /[\u200b\u2060\ufeff]/g;
/** U+2800 is the Braille pattern without dots. */
const visible = /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u;
/** Text that is already normalized, as most is. */
const plain = /^[!-~]+(?: [!-~]+)*$/;
/** More marks on a letter than any script uses (UAX 15, 13). Sorting them for NFC takes time quadratic in their number. */
const stackedMarks = /\p{M}{31}/u;

/** C0, DEL and C1, line and paragraph separators, and bidirectional controls (CVE-2021-42574). */
const notInLine = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const notInLines = /(?!\r\n)(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;

const rules: Readonly<Partial<Record<Text, { readonly refused: RegExp; readonly words: string }>>> = {
  [Text.LINE]: {
    refused: notInLine,
    words: "must be on one line, without control characters and characters that turn the direction of text",
  },
  [Text.LINES]: {
    refused: notInLines,
    words: "must not contain control characters other than line breaks and tabs, or turn the direction of text",
  },
};

const tooManyMarks = "must not have more than 30 marks on one letter";

type ListValue = Iterable<unknown> & { set(index: number, value: unknown): unknown };

/** A text field that is stored, by the option `(shop.common.v1.text)`. */
interface KeptText {
  readonly value: string;
  readonly kind: Text;
  readonly path: Path;
  replace(value: string): void;
}

/**
 * Normalizes all stored text, in every protocol, before validation: NFC, trimmed, without invisible characters that have no
 * meaning; in one-line texts each run of white space becomes one space. A text without a visible character becomes empty.
 */
export function textInterceptor(): Interceptor {
  return (next) => (request) => {
    const { input } = request.method;
    if (fieldsOf(input).length === 0) return next(request);
    if (!request.stream) {
      normalizeTexts(input, request.message);
      return next(request);
    }
    return next({ ...request, message: normalizedEach(input, request.message) } as typeof request);
  };
}

async function* normalizedEach<Desc extends DescMessage>(schema: Desc, messages: AsyncIterable<MessageShape<Desc>>) {
  for await (const message of messages) {
    normalizeTexts(schema, message);
    yield message;
  }
}

function normalizeTexts<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  for (const { value, kind, replace } of keptTexts(reflect(schema, message), [])) {
    if (value === "" || plain.test(value)) continue;
    const normalized = normalizeText(value, kind);
    if (normalized !== value) replace(normalized);
  }
}

function normalizeText(value: string, kind: Text): string {
  const kept = value.replace(stripped, "");
  if (!visible.test(kept)) return "";
  // Validation refuses it.
  if (stackedMarks.test(kept)) return kept;
  const text = kept.normalize("NFC").trim();
  return kind === Text.LINE ? text.replace(/[\t\p{Zs}]+/gu, " ") : text;
}

/** The violations of stored texts. Call it for a message that passed the other rules, so that its size is bounded. */
export function textViolations<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Violation[] {
  if (fieldsOf(schema).length === 0) return [];
  const violations: Violation[] = [];
  for (const { value, kind, path } of keptTexts(reflect(schema, message), [], isChecked)) {
    const { refused, words } = rules[kind]!;
    // A lone surrogate cannot be encoded in UTF-8.
    if (refused.test(value) || !value.isWellFormed()) violations.push(new Violation(words, "text", path, [], false));
    else if (stackedMarks.test(value)) violations.push(new Violation(tooManyMarks, "text", path, [], false));
  }
  return violations;
}

/** Excludes fields that a method checks itself. */
function isChecked(field: DescField): boolean {
  return getOption(field, fieldRules).ignore !== Ignore.ALWAYS;
}

const known = new WeakMap<DescMessage, readonly DescField[]>();

/** The fields that hold stored text, directly or in a submessage. */
function fieldsOf(schema: DescMessage): readonly DescField[] {
  const before = known.get(schema);
  if (before !== undefined) return before;
  // Ends the recursion of a message that contains itself.
  known.set(schema, []);
  const fields = schema.fields.filter(
    (field) => getOption(field, text) !== Text.UNSPECIFIED || (field.message && fieldsOf(field.message).length > 0),
  );
  known.set(schema, fields);
  return fields;
}

function* keptTexts(
  message: ReflectMessage,
  path: Path,
  isWanted: (field: DescField) => boolean = () => true,
): Generator<KeptText> {
  for (const field of fieldsOf(message.desc)) {
    if (!message.isSet(field) || !isWanted(field)) continue;
    const kind = getOption(field, text);
    const at = [...path, field];
    switch (field.fieldKind) {
      case "scalar":
        yield { value: message.get(field) as string, kind, path: at, replace: (value) => message.set(field, value) };
        break;
      case "message":
        yield* keptTexts(message.get(field), at, isWanted);
        break;
      case "list": {
        const list = message.get(field) as ListValue;
        for (const [index, value] of [...list].entries())
          yield* inside(value, kind, [...at, { kind: "list_sub", index }], isWanted, (one) => list.set(index, one));
        break;
      }
      case "map": {
        const map = message.get(field);
        for (const [key, value] of [...map])
          yield* inside(value, kind, [...at, { kind: "map_sub", key: key as string }], isWanted, (one) =>
            map.set(key, one),
          );
        break;
      }
    }
  }
}

function* inside(
  value: unknown,
  kind: Text,
  path: Path,
  isWanted: (field: DescField) => boolean,
  replace: (value: string) => void,
): Generator<KeptText> {
  if (typeof value === "string") yield { value, kind, path, replace };
  else yield* keptTexts(value as ReflectMessage, path, isWanted);
}
