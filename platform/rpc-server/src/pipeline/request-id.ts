import { type DescField, type DescMethod, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Interceptor } from "@connectrpc/connect";
import { DomainError, invalidFields } from "@shop/core";

/** The header of an IETF draft (draft-ietf-httpapi-idempotency-key-header) that payment and shop APIs use. */
const idempotencyKeyHeader = "idempotency-key";
/** Pattern of the header: a bare key, or the quoted string that the draft prescribes (RFC 8941, 3.3.3). */
export const idempotencyKeyPattern = '^([!#-~][!-~]{0,127}|"([!#-\\[\\]-~]|\\\\["\\\\]){1,128}")$';
const format = new RegExp(idempotencyKeyPattern);

/**
 * Applies the Idempotency-Key header to every unary method whose request has a field `request_id` (AIP-155): the key becomes
 * the value of the field. The method itself stores it with its effect, under a unique index. Other methods ignore the header.
 *
 * @throws INVALID_ARGUMENT for an invalid key, and REQUEST_IDS_DIFFER if the field has another value
 */
export function idempotencyInterceptor(): Interceptor {
  return (next) => (request) => {
    const field = request.stream ? undefined : requestIdField(request.method);
    if (field === undefined || request.stream) return next(request);
    const key = keyIn(request.header);
    if (key !== undefined) {
      const message = reflect(request.method.input, request.message);
      const given = message.get(field);
      if (given !== "" && given !== key) throw requestIdsDiffer();
      message.set(field, key);
    }
    return next(request);
  };
}

const fields = new WeakMap<DescMethod, (DescField & { fieldKind: "scalar" }) | false>();

/** The method's `request_id` field; undefined if it has none. */
export function requestIdField(method: DescMethod): (DescField & { fieldKind: "scalar" }) | undefined {
  const known = fields.get(method);
  if (known !== undefined) return known || undefined;
  const field = method.input.fields.find(({ name }) => name === "request_id");
  const found = field?.fieldKind === "scalar" && field.scalar === ScalarType.STRING && field;
  fields.set(method, found || false);
  return found || undefined;
}

/** The key in the header, without its quotes; undefined if there is none. */
function keyIn(header: Headers): string | undefined {
  const text = header.get(idempotencyKeyHeader)?.trim() ?? "";
  if (text === "") return undefined;
  if (!format.test(text)) {
    const description =
      "must be one key of at most 128 visible characters of ASCII, without blanks, bare or in double quotes";
    throw invalidFields([{ field: "Idempotency-Key", description }]);
  }
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text;
}

/** The keys under which a request may be stored: older releases stored the quotes as part of the key. */
export function storedRequestIds(requestId: string): readonly string[] {
  return [requestId, JSON.stringify(requestId)];
}

/** The error if another request was made under the same request id. */
export function requestIdReused(requestId: string): DomainError {
  return new DomainError("invalid_argument", "REQUEST_ID_REUSED", "another request was made under that request_id", {
    metadata: { request_id: requestId },
    violations: [{ field: "request_id", description: "belongs to another request" }],
  });
}

/** The error while the same request is in progress, and its effect may not be replicated to a majority yet. A retry is safe. */
export function requestUnsettled(): DomainError {
  return new DomainError("unavailable", "REQUEST_UNSETTLED", "the same request is in progress", {
    retryAfterMs: 500,
  });
}

function requestIdsDiffer(): DomainError {
  const message = "request_id and Idempotency-Key name different requests";
  return new DomainError("invalid_argument", "REQUEST_IDS_DIFFER", message, {
    violations: [{ field: "request_id", description: "differs from the Idempotency-Key header" }],
  });
}
