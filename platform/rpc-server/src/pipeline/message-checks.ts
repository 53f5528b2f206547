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
import type { MessageChecks } from "./checked-messages.ts";
import { toConnectError } from "./errors.ts";
import { messageCheck } from "./message-limits.ts";
import type { RouterOptions } from "./router-options.ts";

/** The limit of a service whose own is unknown: the longest timer of Node. */
const anyTimeoutMs = 2 ** 31 - 1;

/**
 * For forwarded methods: refuses messages with too many values, and JSON that JavaScript would parse differently from what it
 * says (duplicate keys, large numbers).
 */
export function forwardedMessageChecks(method: DescMethod, readMaxBytes: number): MessageChecks {
  const refusalOf = valueLimit(method);
  return {
    maxBytes: readMaxBytes,
    maxTimeoutMs: anyTimeoutMs,
    of: (message, isBinary) =>
      refusalOf(message, isBinary) ??
      (isBinary ? undefined : unreadableJson(method.input, message, { ignoreUnknownFields: true })),
  };
}

function valueLimit(method: DescMethod): MessageChecks["of"] {
  const { problem } = messageCheck(method);
  return (message, isBinary) => {
    const description = problem(message, isBinary);
    return description === undefined ? undefined : invalidRequest({ field: "", description });
  };
}

/**
 * For hosted methods: refuses messages with too many values, and those that do not decode, with the violating fields and the
 * same reason as REST. Connect would only say what is wrong with JSON, and answer `internal` to invalid binary, as if the
 * service had failed.
 */
export function hostedMessageChecks(
  method: DescMethod,
  {
    readMaxBytes,
    maxTimeoutMs = anyTimeoutMs,
    jsonOptions,
  }: Pick<RouterOptions, "readMaxBytes" | "maxTimeoutMs" | "jsonOptions">,
): MessageChecks {
  const tooManyValues = valueLimit(method);
  const domain = method.parent.file.proto.package;
  return {
    maxBytes: readMaxBytes,
    maxTimeoutMs,
    of(message, isBinary) {
      const refusal = tooManyValues(message, isBinary) ?? undecodable(method, message, isBinary, jsonOptions);
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
