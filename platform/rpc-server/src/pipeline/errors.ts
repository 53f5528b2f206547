import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { DomainError, type ErrorKind, type FieldViolation } from "@shop/core";
import { type FieldPathElement, ViolationsSchema } from "@shop/gen/buf/validate/validate_pb";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { boundedError, cutText, maxViolations } from "@shop/rest";

type OutgoingDetail = Extract<ConnectError["details"][number], { desc: unknown }>;

/** Whether an error means that a database, a bus or another service is unreachable, rather than that the request failed. */
export type IsDependencyLost = (error: unknown) => boolean;

const codes: Record<ErrorKind, Code> = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  internal: Code.Internal,
};

/**
 * Maps any error thrown by a handler to the one its caller gets. `domain` is the ErrorInfo domain. An error that was not thrown
 * for the caller becomes `internal`; its cause stays on the error for the log.
 */
export function toConnectError(
  error: unknown,
  domain: string,
  isDependencyLost: IsDependencyLost = isUnavailable,
): ConnectError {
  return boundedError(connectErrorOf(error, domain, isDependencyLost));
}

function connectErrorOf(error: unknown, domain: string, isDependencyLost: IsDependencyLost): ConnectError {
  if (error instanceof DomainError) return fromDomainError(error, domain);
  if (error instanceof ConnectError) return withBadRequest(error, domain);
  if (isDependencyLost(error)) return fromDomainError(dependencyLost("try again in a moment", error), domain);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

/** Error codes of Node for a closed socket, or an address that is not there; drivers let some of them through. */
const socketCodes = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ERR_STREAM_DESTROYED"],
  ...["EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"],
]);

/** Whether an error means that another service, or a socket, is currently unavailable. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DomainError) return error.kind === "unavailable";
  // Connect reports a broken connection as aborted or internal.
  if (error instanceof ConnectError)
    return error.code === Code.Unavailable || error.code === Code.DeadlineExceeded || isSocketError(error.cause);
  return isSocketError(error);
}

function isSocketError(error: unknown): boolean {
  return error instanceof Error && "code" in error && socketCodes.has(String(error.code));
}

/** A dependency was lost during the call: the request may or may not have taken effect. */
export function dependencyLost(message: string, cause?: unknown): DomainError {
  return new DomainError("unavailable", "DEPENDENCY_UNAVAILABLE", message, { cause, retryAfterMs: 1_000 });
}

/** Shared by all calls: a new error with its stack would cost more than most calls. */
export const callerGone = new ConnectError("the caller has gone", Code.Canceled);

/** Maps a handler's errors to those its caller gets. Deadlines, idempotency keys, text and validation run inside of it. */
export function errorsInterceptor(isDependencyLost?: IsDependencyLost): Interceptor {
  return (next) => async (request) => {
    const mapped = (error: unknown) =>
      isAbort(error) && request.signal.aborted
        ? callerGone
        : toConnectError(error, request.service.file.proto.package, isDependencyLost);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: mapErrors(response.message, mapped) } : response;
    } catch (error) {
      throw mapped(error);
    }
  };
}

/** Connect's handlers abort the signal of a call without a reason of ours. */
function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

// A stream fails while it is read, after `next` has returned.
async function* mapErrors<Message>(
  messages: AsyncIterable<Message>,
  mapped: (error: unknown) => ConnectError,
): AsyncIterable<Message> {
  try {
    yield* messages;
  } catch (error) {
    throw mapped(error);
  }
}

function fromDomainError(error: DomainError, domain: string): ConnectError {
  const { metadata, retryAfterMs } = error.facts;
  const violations = error.facts.violations
    ?.slice(0, maxViolations)
    .map((violation) => ({ ...violation, field: cutText(violation.field) }));
  return new ConnectError(
    error.message,
    codes[error.kind],
    // For clients that read HTTP headers rather than google.rpc details.
    retryAfterMs === undefined ? undefined : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) },
    [
      { desc: ErrorInfoSchema, value: { reason: error.reason, domain, metadata: { ...metadata } } },
      ...(violations === undefined ? [] : [badRequest(violations)]),
      ...(retryAfterMs === undefined
        ? []
        : [
            {
              desc: RetryInfoSchema,
              value: {
                retryDelay: {
                  seconds: BigInt(Math.floor(retryAfterMs / 1000)),
                  nanos: (retryAfterMs % 1000) * 1_000_000,
                },
              },
            },
          ]),
    ],
    error,
  );
}

/**
 * Replaces protovalidate's error detail by google.rpc.BadRequest, and gives every request that could not be decoded or
 * validated a reason.
 */
function withBadRequest(error: ConnectError, domain: string): ConnectError {
  if (error.code !== Code.InvalidArgument || error.findDetails(ErrorInfoSchema).length > 0) return error;
  const broken = error.findDetails(ViolationsSchema).flatMap((detail) => detail.violations);
  const info = { desc: ErrorInfoSchema, value: { reason: "INVALID_FIELDS", domain } };
  if (broken.length === 0) {
    return new ConnectError(error.rawMessage, error.code, undefined, [info, ...outgoing(error.details)], error);
  }
  const violations = broken.map((violation) => ({
    field: fieldPath(violation.field?.elements ?? []),
    description: violation.message,
    reason: violation.ruleId,
  }));
  // Protovalidate's own message includes rule ids, which mean nothing to a user.
  const [{ field, description }] = violations as [FieldViolation];
  const more = violations.length - 1;
  const message = [
    field === "" ? description : `${field}: ${description}`,
    ...(more === 0 ? [] : [`and ${more} more violation${more === 1 ? "" : "s"}`]),
  ].join(", ");
  return new ConnectError(message, error.code, undefined, [info, badRequest(violations)], error);
}

/** Only details that are not yet encoded can be sent; encoded ones were received from another service. */
function outgoing(details: ConnectError["details"]): OutgoingDetail[] {
  return details.filter((detail): detail is OutgoingDetail => "desc" in detail);
}

function badRequest(violations: readonly FieldViolation[]) {
  return { desc: BadRequestSchema, value: { fieldViolations: [...violations] } };
}

/** `items[2].name`, `attributes["color"]`. */
function fieldPath(elements: readonly FieldPathElement[]): string {
  return elements
    .map(({ fieldName, subscript }) => {
      if (subscript.case === undefined) return fieldName;
      return `${fieldName}[${subscript.case === "stringKey" ? JSON.stringify(subscript.value) : subscript.value}]`;
    })
    .join(".");
}
