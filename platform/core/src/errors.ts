/** The kind of an error, in domain terms; `pipeline/errors.ts` of @shop/rpc-server maps it to a status code. */
export type ErrorKind =
  | "invalid_argument"
  | "unauthenticated"
  | "permission_denied"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "aborted"
  | "resource_exhausted"
  | "unavailable"
  | "internal";

/** A request field that violates a rule; `field` is a path such as `items[3].quantity`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
  readonly reason?: string;
}

export interface ErrorFacts {
  /** Facts for programs, sent as ErrorInfo.metadata. Never a secret. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  /** When a retry may succeed, sent as RetryInfo. */
  readonly retryAfterMs?: number;
  /** The underlying error: logged, never sent. */
  readonly cause?: unknown;
}

/**
 * The only error that handlers throw on purpose. `reason` is an UPPER_SNAKE constant, listed in docs/errors.md; `message`
 * is for the caller to read.
 */
export class DomainError extends Error {
  readonly kind: ErrorKind;
  readonly reason: string;
  readonly facts: ErrorFacts;

  constructor(kind: ErrorKind, reason: string, message: string, facts: ErrorFacts = {}) {
    super(message, { cause: facts.cause });
    this.name = "DomainError";
    this.kind = kind;
    this.reason = reason;
    this.facts = facts;
  }
}

/** The most violations in an answer: `maxViolations` of @shop/rest, which this package must not import. */
const maxNamed = 20;

/** The error of a request whose fields violate rules that the schema can't express. Names the first 20 violations. */
export function invalidFields(all: readonly FieldViolation[]): DomainError {
  const violations = all.slice(0, maxNamed);
  const message = violations.map((violation) => `${violation.field}: ${violation.description}`).join("; ");
  return new DomainError("invalid_argument", "INVALID_FIELDS", message, { violations });
}
