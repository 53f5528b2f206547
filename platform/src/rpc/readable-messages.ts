import { type DescMethod, fromBinary, fromJson, type JsonReadOptions, type JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import type { Refusals } from "./checked-messages.ts";
import { toConnectError } from "./errors.ts";
import { messageCheck } from "./message-limits.ts";
import { cutText } from "./refusal-limits.ts";
import { explainJson } from "./rest/explain-json.ts";
import { invalidRequest } from "./rest/invalid-request.ts";

/** Refuses messages of a method that have too many values. */
export function countableMessages(method: DescMethod, readMaxBytes: number): Refusals {
  const { problem } = messageCheck(method);
  return {
    maxBytes: readMaxBytes,
    of(message, isBinary) {
      const description = problem(message, isBinary);
      return description === undefined ? undefined : invalidRequest({ field: "", description });
    },
  };
}

/**
 * Refuses messages of a method that have too many values, and those that do not decode: with the fields at fault, and under the
 * same reason as over REST. Connect says no more than what is wrong with JSON, and answers `internal` to bytes that are no
 * message, as if we had failed.
 */
export function readableMessages(
  method: DescMethod,
  readMaxBytes: number,
  jsonOptions: Partial<JsonReadOptions> | undefined,
): Refusals {
  const { maxBytes, of: countOut } = countableMessages(method, readMaxBytes);
  const domain = method.parent.file.proto.package;
  return {
    maxBytes,
    of(message, isBinary) {
      const refusal = countOut(message, isBinary) ?? undecodable(method, message, isBinary, jsonOptions);
      return refusal && toConnectError(refusal, domain);
    },
  };
}

function undecodable(
  { input }: DescMethod,
  message: Uint8Array,
  isBinary: boolean,
  jsonOptions: Partial<JsonReadOptions> | undefined,
): ConnectError | undefined {
  let json: JsonValue | undefined;
  try {
    if (isBinary) fromBinary(input, message);
    else {
      json = JSON.parse(new TextDecoder().decode(message)) as JsonValue;
      fromJson(input, json, jsonOptions);
    }
    return undefined;
  } catch (error) {
    const problem = cutText((error as Error).message);
    if (isBinary) return new ConnectError(`parse binary: ${problem}`, Code.InvalidArgument);
    const fieldViolations =
      json === undefined
        ? [{ field: "", description: "the request body is not valid JSON" }]
        : explainJson(input, json, error, undefined);
    const details = [{ desc: BadRequestSchema, value: { fieldViolations } }];
    return new ConnectError(problem, Code.InvalidArgument, undefined, details);
  }
}
