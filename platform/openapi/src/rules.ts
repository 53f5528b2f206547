import { type DescField, getOption, hasOption, type JsonObject } from "@bufbuild/protobuf";
import { type FieldRules, field as fieldRules } from "@shop/gen/buf/validate/validate_pb";

/** The rules of `buf.validate` for a field; undefined if it has none. */
export function rulesOf(field: DescField): FieldRules | undefined {
  return hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
}

/**
 * Converts rules to keywords of JSON Schema (2020-12), as far as possible; the server enforces the others, too. Lengths in
 * bytes become lengths in characters, which are never larger.
 */
export function ruleKeywords(rules: FieldRules | undefined): JsonObject {
  if (rules === undefined) return {};
  const { type } = rules;
  switch (type.case) {
    case "string": {
      const { pattern, minLen, maxLen, len, maxBytes, lenBytes, in: allowed, const: only, wellKnown } = type.value;
      const least = isGiven(type.value, "len") ? len : minLen;
      const format = formats[wellKnown.case ?? ""];
      const most = [len, maxLen, maxBytes, lenBytes].filter((limit) => limit > 0n);
      return {
        ...(least > 0n && { minLength: Number(least) }),
        ...(most.length > 0 && { maxLength: Math.min(...most.map(Number)) }),
        ...(pattern !== "" && { pattern }),
        ...(allowed.length > 0 && { enum: allowed }),
        ...(isGiven(type.value, "const") && { const: only }),
        ...(format !== undefined && wellKnown.value === true && { format }),
      };
    }
    case "repeated":
      return {
        ...(type.value.minItems > 0n && { minItems: Number(type.value.minItems) }),
        ...(type.value.maxItems > 0n && { maxItems: Number(type.value.maxItems) }),
        ...(type.value.unique && { uniqueItems: true }),
      };
    case "map":
      return {
        ...(type.value.minPairs > 0n && { minProperties: Number(type.value.minPairs) }),
        ...(type.value.maxPairs > 0n && { maxProperties: Number(type.value.maxPairs) }),
      };
    case "int32":
    case "sint32":
    case "sfixed32":
    case "uint32":
    case "fixed32":
    case "int64":
    case "sint64":
    case "sfixed64":
    case "uint64":
    case "fixed64":
    case "float":
    case "double":
      return numberKeywords(type.value);
    default:
      return {};
  }
}

/** Whether a rule allows an enum value; without a rule all are allowed. */
export function allowedNumbers(rules: FieldRules | undefined): (number: number) => boolean {
  if (rules?.type.case !== "enum") return () => true;
  const { in: allowed, notIn, const: only } = rules.type.value;
  const hasOnly = isGiven(rules.type.value, "const");
  return (number) =>
    (allowed.length === 0 || allowed.includes(number)) && !notIn.includes(number) && (!hasOnly || number === only);
}

/** The messages of CEL rules, which JSON Schema can't express. */
export function ruleWords(rules: FieldRules | undefined): string[] {
  return rules?.cel.map(({ message }) => message).filter((message) => message !== "") ?? [];
}

interface NumberRules {
  readonly lessThan: { readonly case?: string | undefined; readonly value?: number | bigint | undefined };
  readonly greaterThan: { readonly case?: string | undefined; readonly value?: number | bigint | undefined };
  readonly in: readonly (number | bigint)[];
  readonly notIn: readonly (number | bigint)[];
  readonly const: number | bigint;
}

const numberKeywordOf: Readonly<Record<string, string>> = {
  lt: "exclusiveMaximum",
  lte: "maximum",
  gt: "exclusiveMinimum",
  gte: "minimum",
};

function numberKeywords(rules: NumberRules): JsonObject {
  const keywords: JsonObject = {};
  for (const { case: rule, value } of [rules.greaterThan, rules.lessThan]) {
    if (rule !== undefined) keywords[numberKeywordOf[rule]!] = Number(value);
  }
  if (rules.in.length > 0) keywords.enum = rules.in.map(Number);
  if (rules.notIn.length > 0) keywords.not = { enum: rules.notIn.map(Number) };
  if (isGiven(rules, "const")) keywords.const = Number(rules.const);
  return keywords;
}

/** Rules have explicit presence: an unset one is a default on the prototype. */
function isGiven(rules: object, name: string): boolean {
  return Object.hasOwn(rules, name);
}

const formats: Readonly<Record<string, string>> = {
  email: "email",
  hostname: "hostname",
  ipv4: "ipv4",
  ipv6: "ipv6",
  uri: "uri",
  uriRef: "uri-reference",
  uuid: "uuid",
};
