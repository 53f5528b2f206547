import { DomainError, invalidFields } from "../errors.ts";

/** A draft of the IETF (draft-ietf-httpapi-idempotency-key-header) that payment and shop APIs follow. */
const idempotencyKeyHeader = "idempotency-key";
/** What a name looks like, as a regular expression. */
export const requestIdPattern = "^[\\x21-\\x7e]{1,128}$";
const format = new RegExp(requestIdPattern);

/**
 * How the caller names a request: by its field `request_id` (AIP-155), or by the header; undefined when it does not. Throws
 * REQUEST_IDS_DIFFER when they are not the same.
 */
export function requestIdOf(field: string, header: Headers): string | undefined {
  const key = header.get(idempotencyKeyHeader)?.trim() ?? "";
  if (key !== "" && !format.test(key)) {
    const description = "must be one name of at most 128 visible characters of ASCII, without blanks";
    throw invalidFields([{ field: "Idempotency-Key", description }]);
  }
  if (key !== "" && field !== "" && key !== field) throw requestIdsDiffer();
  return field || key || undefined;
}

function requestIdsDiffer(): DomainError {
  const message = "request_id and Idempotency-Key name different requests";
  return new DomainError("invalid_argument", "REQUEST_IDS_DIFFER", message, {
    violations: [{ field: "request_id", description: "differs from the Idempotency-Key header" }],
  });
}
