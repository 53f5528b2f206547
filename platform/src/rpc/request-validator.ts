import { type DescMessage, getOption, type MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, ValidationError, type Validator, Violation } from "@bufbuild/protovalidate";
import { pattern_message } from "@shop/gen/shop/common/v1/pattern_message_pb";
import type { FieldViolation } from "../errors.ts";
import { matchesPattern } from "./schema-regexp.ts";
import { madeOnce } from "./unchanging.ts";

const validator = createValidator({ regexMatch: matchesPattern });

/**
 * Checks requests by the rules in the schema. Of a text that does not match its pattern protovalidate shows the pattern; here
 * the caller reads what the schema says about it in words.
 */
export const requestValidator: Validator = {
  validate: (schema, message) =>
    madeOnce(message, validator, () => {
      const result = validator.validate(schema, message);
      if (result.kind !== "invalid") return result;
      const violations = result.violations.map(inWords);
      return { ...result, violations, error: new ValidationError(violations) };
    }),
};

function inWords(violation: Violation): Violation {
  if (violation.ruleId !== "string.pattern") return violation;
  const field = violation.field.findLast((element) => element.kind === "field");
  const words = field && getOption(field, pattern_message);
  return new Violation(
    words || "has another form",
    violation.ruleId,
    violation.field,
    violation.rule,
    violation.forKey,
  );
}

/**
 * The rules of the schema that a message breaks, by the paths of its own fields: for a part of a request that may be wrong without
 * the whole being refused (buf.validate's IGNORE_ALWAYS).
 */
export function createMessageCheck<Desc extends DescMessage>(
  schema: Desc,
): (message: MessageShape<Desc>) => FieldViolation[] {
  return (message) => {
    const result = requestValidator.validate(schema, message);
    if (result.kind === "valid") return [];
    if (result.kind === "error") throw result.error;
    return result.violations.map((violation) => {
      return { field: pathToString(violation.field), description: violation.message, reason: violation.ruleId };
    });
  };
}
