import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { FieldViolation } from "@shop/core";
import { createMessageCheck as createCheck, createRequestValidator, textViolations } from "@shop/rpc-server";
import { currencyViolations } from "./request-currencies.ts";

/** Checks requests by protovalidate's rules and the shop's own: what text may hold, and which currencies there are. */
export const requestValidator = createRequestValidator([textViolations, currencyViolations]);

/** The rules that a message breaks, which may be part of a request: {@link createCheck} with the shop's own rules. */
export function createMessageCheck<Desc extends DescMessage>(
  schema: Desc,
): (message: MessageShape<Desc>) => FieldViolation[] {
  return createCheck(requestValidator, schema);
}
