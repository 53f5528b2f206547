import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { FieldViolation } from "@shop/core";
import { createMessageCheck as createCheck, createRequestValidator, textViolations } from "@shop/rpc-server";
import { currencyViolations } from "./request-currencies.ts";

/** Validates requests by protovalidate's rules and those of `shop.common`: text and currencies. */
export const requestValidator = createRequestValidator([textViolations, currencyViolations]);

/** The violations of a message that may be part of a request: {@link createCheck} with the same rules. */
export function createMessageCheck<Desc extends DescMessage>(
  schema: Desc,
): (message: MessageShape<Desc>) => FieldViolation[] {
  return createCheck(requestValidator, schema);
}
