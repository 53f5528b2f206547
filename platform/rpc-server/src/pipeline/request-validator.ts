import {
  type DescMessage,
  getOption,
  type Message,
  type MessageShape,
  type MessageValidType,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import {
  createValidator,
  ValidationError,
  type ValidationResult,
  type Validator,
  Violation,
} from "@bufbuild/protovalidate";
import type { FieldViolation } from "@shop/core";
import { pattern_message } from "@shop/gen/shop/common/v1/pattern_message_pb";
import { cutText, maxQuotedCharacters, maxViolations, memoize } from "@shop/rest";
import { matchesPattern } from "./schema-regexp.ts";
import { measure } from "./size-rules.ts";

const untilFirst = createValidator({ regexMatch: matchesPattern, failFast: true });
const thorough = createValidator({ regexMatch: matchesPattern });

/** A rule besides those of protovalidate: the violations that a message has of it. */
export type MessageRule = (schema: DescMessage, message: Message) => readonly Violation[];

/** Of a larger message not every mistake is looked for, which would take as long as its caller likes. */
const thoroughUpTo = { values: 512, length: 16_384 };

/**
 * Checks requests by the rules in the schema, and stops at 20 violations. Of a large message they are the fields that are larger
 * than they may be, which are not looked into, or else the first one. Of a text that does not match its pattern protovalidate shows the pattern; here the caller reads what the schema says
 * about it in words.
 *
 * @param rules of one's own, checked in a message that keeps all rules of protovalidate
 */
export function createRequestValidator(rules: readonly MessageRule[]): Validator {
  return {
    validate: (schema, message) =>
      memoize(message, rules, () => {
        const result = untilFirst.validate(schema, message);
        if (result.kind === "valid") return invalidOtherwise(rules, schema, message) ?? result;
        if (result.kind !== "invalid") return result;
        const violations = allViolations(schema, message, result.violations).slice(0, maxViolations).map(toldOf);
        return { ...result, violations, error: new ValidationError(violations) };
      }),
  };
}

function invalidOtherwise<Desc extends DescMessage>(
  rules: readonly MessageRule[],
  schema: Desc,
  message: MessageShape<Desc>,
): ValidationResult<MessageValidType<Desc>, MessageShape<Desc>> | undefined {
  const violations = rules.flatMap((rule) => rule(schema, message)).slice(0, maxViolations);
  if (violations.length === 0) return undefined;
  return { kind: "invalid", message, error: new ValidationError(violations), violations };
}

function allViolations<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  first: readonly Violation[],
): readonly Violation[] {
  const { violations, values, length } = measure(schema, message);
  if (values <= thoroughUpTo.values && length <= thoroughUpTo.length && violations.length < maxViolations) {
    return thorough.validate(schema, message).violations ?? first;
  }
  return violations.length > 0 ? violations : first;
}

function toldOf(violation: Violation): Violation {
  const { message, ruleId, field, rule, forKey } = violation;
  const path = field.some(isLongKey) ? field.map(withShortKey) : field;
  return new Violation(inWords(violation) ?? message, ruleId, path, rule, forKey);
}

function isLongKey(element: Violation["field"][number]): boolean {
  return element.kind === "map_sub" && typeof element.key === "string" && element.key.length > maxQuotedCharacters;
}

function withShortKey(element: Violation["field"][number]): Violation["field"][number] {
  return element.kind === "map_sub" && typeof element.key === "string"
    ? { ...element, key: cutText(element.key) }
    : element;
}

function inWords(violation: Violation): string | undefined {
  if (violation.ruleId !== "string.pattern") return undefined;
  const field = violation.field.findLast((element) => element.kind === "field");
  return (field && getOption(field, pattern_message)) || "has another form";
}

/**
 * The rules of the schema that a message breaks, by the paths of its own fields: for a part of a request that may be wrong without
 * the whole being refused (buf.validate's IGNORE_ALWAYS).
 */
export function createMessageCheck<Desc extends DescMessage>(
  validator: Validator,
  schema: Desc,
): (message: MessageShape<Desc>) => FieldViolation[] {
  return (message) => {
    const result = validator.validate(schema, message);
    if (result.kind === "valid") return [];
    if (result.kind === "error") throw result.error;
    return result.violations.map((violation) => {
      return { field: pathToString(violation.field), description: violation.message, reason: violation.ruleId };
    });
  };
}
