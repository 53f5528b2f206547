import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { boundedError } from "./bounded-error.ts";
import { hasOwnJsonForm } from "./fields.ts";
import { BadRequestSchema, RetryInfoSchema, ViolationsSchema } from "./google-types.ts";
import { addHeaders, type RestHeaders } from "./headers.ts";
import { httpStatus } from "./http-status.ts";
import { type JsonForm, plainForm } from "./json-form.ts";

/** The answer to a failed request, with a JSON body. */
type ErrorResponse = { status: number; headers: RestHeaders; body: Uint8Array };

const encoder = new TextEncoder();

/**
 * The answer to a failed request: google.rpc.Status as JSON under the HTTP status of its code. The error's metadata becomes
 * headers, RetryInfo a Retry-After, and unauthenticated a WWW-Authenticate.
 *
 * Never throws. An error other than a ConnectError is answered as internal without its message, which was not written for
 * callers.
 */
export function errorResponse(reason: unknown, form = plainForm): ErrorResponse {
  const error = toConnectError(reason);
  const headers: RestHeaders = { "content-type": "application/json" };
  addHeaders(headers, error.metadata);
  if (error.code === Code.Unauthenticated) headers["www-authenticate"] ??= "Bearer";
  const retryAfter = retryAfterSeconds(error);
  if (retryAfter !== undefined) headers["retry-after"] ??= String(retryAfter);
  const body = encoder.encode(JSON.stringify(statusJson(error, form)));
  headers["content-length"] = String(body.byteLength);
  return { status: httpStatus(error), headers, body };
}

/**
 * google.rpc.Status as JSON. buf.validate.Violations become google.rpc.BadRequest. A detail whose type is not in the registry
 * keeps its type and its bytes: `{"@type": ..., "value": "<base64>"}`.
 */
export function statusJson(reason: unknown, form = plainForm): JsonObject {
  const error = toConnectError(reason);
  return {
    code: error.code,
    message: error.rawMessage,
    details: error.details.map((detail) => detailJson(detail, form)),
  };
}

function toConnectError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return boundedError(reason);
  if (reason instanceof Error && reason.name === "AbortError")
    return new ConnectError("the request was canceled", Code.Canceled);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, reason);
}

type Detail = ConnectError["details"][number];

function detailJson(detail: Detail, form: JsonForm): JsonValue {
  const typeName = "desc" in detail ? detail.desc.typeName : detail.type;
  try {
    const violations = decodeDetail(detail, ViolationsSchema);
    if (violations !== undefined) return anyJson(BadRequestSchema, toBadRequest(violations), form);
    const desc = "desc" in detail ? detail.desc : (form.registry?.getMessage(typeName) ?? ownTypes.get(typeName));
    if (desc !== undefined) return anyJson(desc, decodeAs(detail, desc), form);
  } catch {
    // Undecodable bytes, or a nested Any of an unknown type: sent as bytes, like an unknown type.
  }
  return { "@type": typeUrl(typeName), value: base64Encode(detailBytes(detail)) };
}

function detailBytes(detail: Detail): Uint8Array {
  if (!("desc" in detail)) return detail.value;
  try {
    return toBinary(detail.desc, decodeAs(detail, detail.desc));
  } catch {
    return new Uint8Array();
  }
}

const ownTypes = new Map<string, DescMessage>([BadRequestSchema, RetryInfoSchema].map((desc) => [desc.typeName, desc]));

function anyJson(desc: DescMessage, message: Message, { useProtoFieldName, registry }: JsonForm): JsonValue {
  const json = toJson(desc, message, { useProtoFieldName, ...(registry && { registry }) });
  const type = { "@type": typeUrl(desc.typeName) };
  return hasOwnJsonForm(desc) ? { ...type, value: json } : { ...type, ...(json as JsonObject) };
}

function typeUrl(typeName: string): string {
  return `type.googleapis.com/${typeName}`;
}

/** The detail as `desc` if it is of that type. */
function decodeDetail<D extends DescMessage>(detail: Detail, desc: D): MessageShape<D> | undefined {
  const typeName = "desc" in detail ? detail.desc.typeName : detail.type;
  return typeName === desc.typeName ? decodeAs(detail, desc) : undefined;
}

function decodeAs<D extends DescMessage>(detail: Detail, desc: D): MessageShape<D> {
  if (!("desc" in detail)) return fromBinary(desc, detail.value);
  return isMessage(detail.value, desc) ? detail.value : create(desc, detail.value as MessageInitShape<D>);
}

function toBadRequest({ violations }: MessageShape<typeof ViolationsSchema>): Message {
  return create(BadRequestSchema, {
    fieldViolations: violations.map(({ field, message, ruleId }) => ({
      field: fieldPath(field),
      description: message,
      reason: ruleId,
    })),
  });
}

type FieldPath = MessageShape<typeof ViolationsSchema>["violations"][number]["field"];

/** A path like `items[2].name` or `labels["a"]`, in the format of explainJson. */
function fieldPath(path: FieldPath): string {
  let text = "";
  for (const { fieldName, subscript } of path?.elements ?? []) {
    text += text === "" ? fieldName : `.${fieldName}`;
    if (subscript.case === "stringKey") text += `[${JSON.stringify(subscript.value)}]`;
    else if (subscript.case !== undefined) text += `[${subscript.value}]`;
  }
  return text;
}

function retryAfterSeconds(error: ConnectError): number | undefined {
  for (const detail of error.details) {
    try {
      const delay = decodeDetail(detail, RetryInfoSchema)?.retryDelay;
      if (delay !== undefined) return Math.max(0, Math.ceil(Number(delay.seconds) + delay.nanos / 1e9));
    } catch {
      // Undecodable bytes: no hint is better than a wrong one.
    }
  }
  return undefined;
}
