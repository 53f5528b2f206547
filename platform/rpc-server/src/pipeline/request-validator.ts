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

/** A rule in addition to protovalidate's: returns the violations of a message. */
export type MessageRule = (schema: DescMessage, message: Message) => readonly Violation[];

/** Larger messages are not searched for every violation, which could take unbounded time. */
const thoroughUpTo = { values: 512, length: 16_384 };

/**
 * Validates requests by the rules in the schema, and reports at most 20 violations. For a large message it reports the fields
 * that exceed their size, without looking into them, or else the first violation. Where protovalidate would show a pattern, the
 * message is the schema's description of it.
 *
 * @param rules additional rules, checked once a message passes protovalidate
 */
export function createRequestValidator(rules: readonly MessageRule[]): Validator {
  return {
    validate: (schema, message) =>
      memoize(message, rules, () => {
        const result = untilFirst.validate(schema, message);
        if (result.kind === "valid") return invalidOtherwise(rules, schema, message) ?? result;
        if (result.kind !== "invalid") return result;
        const violations = allViolations(schema, message, result.violations)
          .slice(0, maxViolations)
          .map(reportedViolation);
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

function reportedViolation(violation: Violation): Violation {
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
 * The violations of a message, with paths relative to it: for a part of a request that may be invalid without the request being
 * refused (buf.validate's IGNORE_ALWAYS).
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
