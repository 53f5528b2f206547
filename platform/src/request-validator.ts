import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { FieldViolation } from "./errors.ts";
import { currencyViolations } from "./request-currencies.ts";
import { textViolations } from "./rpc/request-text.ts";
import { createMessageCheck as createCheck, createRequestValidator } from "./rpc/request-validator.ts";

/** Checks requests by protovalidate's rules and the shop's own: what text may hold, and which currencies there are. */
export const requestValidator = createRequestValidator([textViolations, currencyViolations]);

/** The rules that a message breaks, which may be part of a request: {@link createCheck} with the shop's own rules. */
export function createMessageCheck<Desc extends DescMessage>(
  schema: Desc,
): (message: MessageShape<Desc>) => FieldViolation[] {
  return createCheck(requestValidator, schema);
}
