import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonReadOptions,
  type JsonValue,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import { cutText, explainJson, invalidRequest, isStrict, parseJsonBody } from "@shop/rest";
import type { Refusals } from "./checked-messages.ts";
import { toConnectError } from "./errors.ts";
import { messageCheck } from "./message-limits.ts";
import type { RouterOptions } from "./router-options.ts";

/** Of a service whose limit is not known: as long as a timer of Node can be. */
const anyTimeoutMs = 2 ** 31 - 1;

/** Refuses messages of a method that have too many values, and JSON that JavaScript would read more into than it says. */
export function plainMessages(method: DescMethod, readMaxBytes: number): Refusals {
  const refusalOf = countableMessages(method);
  return {
    maxBytes: readMaxBytes,
    maxTimeoutMs: anyTimeoutMs,
    of: (message, isBinary) =>
      refusalOf(message, isBinary) ??
      (isBinary ? undefined : unreadableJson(method.input, message, { ignoreUnknownFields: true })),
  };
}

function countableMessages(method: DescMethod): Refusals["of"] {
  const { problem } = messageCheck(method);
  return (message, isBinary) => {
    const description = problem(message, isBinary);
    return description === undefined ? undefined : invalidRequest({ field: "", description });
  };
}

/**
 * Refuses messages of a method that have too many values, and those that do not decode: with the fields at fault, and under the
 * same reason as over REST. Connect says no more than what is wrong with JSON, and answers `internal` to bytes that are no
 * message, as if we had failed.
 */
export function readableMessages(
  method: DescMethod,
  {
    readMaxBytes,
    maxTimeoutMs = anyTimeoutMs,
    jsonOptions,
  }: Pick<RouterOptions, "readMaxBytes" | "maxTimeoutMs" | "jsonOptions">,
): Refusals {
  const countOut = countableMessages(method);
  const domain = method.parent.file.proto.package;
  return {
    maxBytes: readMaxBytes,
    maxTimeoutMs,
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
  if (!isBinary) return unreadableJson(input, message, jsonOptions);
  try {
    fromBinary(input, message);
    return undefined;
  } catch (error) {
    return new ConnectError(`parse binary: ${cutText((error as Error).message)}`, Code.InvalidArgument);
  }
}

function unreadableJson(
  input: DescMessage,
  message: Uint8Array,
  jsonOptions: Partial<JsonReadOptions> | undefined,
): ConnectError | undefined {
  let json: JsonValue | undefined;
  try {
    json = parseJsonBody(message).json;
    if (!isStrict(input, json)) return invalidRequest(...explainJson(input, json, undefined, undefined));
    fromJson(input, json, jsonOptions);
    return undefined;
  } catch (error) {
    if (json === undefined) return error as ConnectError;
    const details = [
      { desc: BadRequestSchema, value: { fieldViolations: explainJson(input, json, error, undefined) } },
    ];
    return new ConnectError(cutText((error as Error).message), Code.InvalidArgument, undefined, details);
  }
}
