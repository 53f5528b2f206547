import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import { pattern_message } from "@shop/gen/shop/common/v1/pattern_message_pb";
import { hasOwnJsonForm, isWide } from "@shop/rest";
import { allowedNumbers, ruleKeywords, rulesOf, ruleWords } from "./rules.ts";

/** Input schemas have validation rules; output schemas require every field that is always present. */
export type Direction = "input" | "output";

/** Returns the comment of an element in the proto files, as Markdown; "" if it has none. */
export type CommentOf = (desc: DescMessage | DescField | DescEnum | DescEnum["values"][number]) => string;

/** The schemas of messages and enums: each is defined once, under `components`, and referenced elsewhere. */
export class Schemas {
  readonly #commentOf: CommentOf;
  readonly #components = new Map<string, JsonObject>();
  readonly #owners = new Map<string, string>();

  constructor(commentOf: CommentOf) {
    this.#commentOf = commentOf;
  }

  /** All referenced components, by name. */
  components(): JsonObject {
    return Object.fromEntries([...this.#components].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Defines a component that is not a message. */
  define(name: string, schema: JsonObject): JsonObject {
    this.#components.set(name, schema);
    return reference(name);
  }

  /** The schema of a message. `without` are fields that are sent elsewhere. */
  message(desc: DescMessage, direction: Direction, without: ReadonlySet<DescField> = new Set()): JsonObject {
    if (hasOwnJsonForm(desc)) return wellKnown(desc);
    const left = [...without].map(({ name }) => name).toSorted();
    const name = this.#nameOf(desc, direction, left);
    if (!this.#components.has(name)) {
      // Registered before its fields, since one of them may be of the same message.
      const schema: JsonObject = {};
      this.#components.set(name, schema);
      Object.assign(schema, this.#object(desc, direction, without));
    }
    return reference(name);
  }

  /** The schema of a field, with its comment. */
  field(field: DescField, direction: Direction): JsonObject {
    const description = this.#describe(field, direction);
    return { ...this.#value(field, direction), ...(description !== "" && { description }) };
  }

  #object(desc: DescMessage, direction: Direction, without: ReadonlySet<DescField>): JsonObject {
    const fields = desc.fields.filter((field) => !without.has(field));
    const isRequired = direction === "input" ? requiredInput(desc) : isAlwaysAnswered;
    const required = fields.filter(isRequired).map(({ name }) => name);
    const description = this.#commentOf(desc);
    return {
      type: "object",
      ...(description !== "" && { description }),
      properties: Object.fromEntries(fields.map((field) => [field.name, this.field(field, direction)])),
      ...(required.length > 0 && { required }),
      // Unknown input fields are refused; readers of answers must tolerate new fields.
      ...(direction === "input" && { additionalProperties: false }),
    };
  }

  #value(field: DescField, direction: Direction): JsonObject {
    const rules = direction === "input" ? rulesOf(field) : undefined;
    switch (field.fieldKind) {
      case "list": {
        const items = rules?.type.case === "repeated" ? rules.type.value.items : undefined;
        return { type: "array", items: this.#single(field, direction, items), ...ruleKeywords(rules) };
      }
      case "map": {
        const values = rules?.type.case === "map" ? rules.type.value.values : undefined;
        return {
          type: "object",
          additionalProperties: this.#single(field, direction, values),
          ...ruleKeywords(rules),
        };
      }
      default:
        return this.#single(field, direction, rules);
    }
  }

  #single(field: DescField, direction: Direction, rules: ReturnType<typeof rulesOf>): JsonObject {
    if (field.message !== undefined) return this.message(field.message, direction);
    if (field.enum !== undefined) return this.#enum(field.enum, allowedNumbers(rules));
    return { ...scalar(field.scalar!, direction), ...ruleKeywords(rules) };
  }

  #enum(desc: DescEnum, isAllowed: (number: number) => boolean): JsonObject {
    const values = desc.values.filter(({ number }) => isAllowed(number));
    const schema = () => ({
      type: "string",
      description: [
        this.#commentOf(desc),
        values.map((value) => `- \`${value.name}\`: ${this.#commentOf(value)}`).join("\n"),
      ].join("\n\n"),
      enum: values.map(({ name }) => name),
    });
    if (values.length < desc.values.length) return schema();
    const name = this.#nameOf(desc, "output", []);
    if (!this.#components.has(name)) this.#components.set(name, schema());
    return reference(name);
  }

  #describe(field: DescField, direction: Direction): string {
    const words = [this.#commentOf(field)];
    if (direction === "input") {
      if (hasOption(field, pattern_message)) words.push(`It ${getOption(field, pattern_message)}.`);
      words.push(...ruleWords(rulesOf(field)));
    }
    return words.filter((part) => part !== "").join("\n\n");
  }

  /** The short name, unless another component has it. A message that is both input and output has two. */
  #nameOf(desc: DescMessage | DescEnum, direction: Direction, without: readonly string[]): string {
    const short = desc.typeName.slice(desc.file.proto.package.length + 1);
    const suffix = direction === "input" && !/Request$/.test(short) ? "Input" : "";
    const owner = [desc.typeName, direction, ...without].join(" ");
    const names = [short, desc.typeName, ...(without.length > 0 ? [`${short}Without.${without.join(".")}`] : [])];
    for (const candidate of names.map((name) => `${name}${suffix}`)) {
      if ((this.#owners.get(candidate) ?? owner) !== owner) continue;
      this.#owners.set(candidate, owner);
      return candidate;
    }
    throw new Error(`no name is left for ${desc.typeName}`);
  }
}

const validator = createValidator();

/** The required fields: those that an empty message violates. */
export function requiredInput(desc: DescMessage): (field: DescField) => boolean {
  const result = validator.validate(desc, create(desc));
  if (result.kind === "error") throw result.error;
  const violated = result.kind === "invalid" ? result.violations.map((violation) => violation.field[0]) : [];
  return (field) => violated.some((first) => first?.kind === "field" && first.name === field.name);
}

/** JSON omits an unset field only if the field has presence. */
function isAlwaysAnswered(field: DescField): boolean {
  return (
    field.fieldKind === "list" || field.fieldKind === "map" || field.presence === FeatureSet_FieldPresence.IMPLICIT
  );
}

function reference(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

function scalar(type: ScalarType, direction: Direction): JsonObject {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: ["number", "string"], format: type === ScalarType.FLOAT ? "float" : "double" };
    default: {
      const isUnsigned = [ScalarType.UINT32, ScalarType.FIXED32, ScalarType.UINT64, ScalarType.FIXED64].includes(type);
      const least = isUnsigned ? { minimum: 0 } : {};
      if (!isWide(type)) {
        const format = isUnsigned ? "uint32" : "int32";
        const range = isUnsigned ? { minimum: 0, maximum: 2 ** 32 - 1 } : { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
        return { type: "integer", format, ...(direction === "input" && range) };
      }
      // Output as text, so that no reader loses digits; input accepts both.
      return {
        type: direction === "input" ? ["string", "integer"] : "string",
        format: isUnsigned ? "uint64" : "int64",
        pattern: isUnsigned ? "^[0-9]+$" : "^-?[0-9]+$",
        ...(direction === "input" && least),
      };
    }
  }
}

function wellKnown(desc: DescMessage): JsonObject {
  const wrapped = desc.fields[0]?.scalar;
  const type = desc.typeName.slice("google.protobuf.".length);
  if (wrapped !== undefined && /Value$/.test(type) && type !== "Value") return scalar(wrapped, "output");
  return { ...wellKnownSchemas[type] } as JsonObject;
}

const wellKnownSchemas: Readonly<Record<string, Readonly<Record<string, JsonValue>>>> = {
  Any: { type: "object", properties: { "@type": { type: "string" } }, required: ["@type"] },
  Timestamp: { type: "string", format: "date-time" },
  Duration: { type: "string", pattern: "^-?[0-9]+(\\.[0-9]{1,9})?s$" },
  FieldMask: { type: "string" },
  Struct: { type: "object" },
  Value: {},
  ListValue: { type: "array", items: {} },
};
