import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "./google-types.ts";

/** A violation: the path of the field in the request message, and a sentence. */
export type FieldViolation = { field: string; description: string };

/** An invalid_argument error with the violations as google.rpc.BadRequest, and the first one in its message. */
export function invalidRequest(...violations: readonly FieldViolation[]): ConnectError {
  const [first] = violations;
  const message = first === undefined ? "invalid request" : [first.field, first.description].filter(Boolean).join(": ");
  return new ConnectError(message, Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: { fieldViolations: [...violations] } },
  ]);
}
