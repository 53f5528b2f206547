import { JetStreamApiError, JetStreamError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";

/** What the client throws when the server, its JetStream, a stream or the permission to use it is not there. */
const lost = [
  JetStreamApiError,
  JetStreamError,
  errors.AuthorizationError,
  errors.ClosedConnectionError,
  errors.ConnectionError,
  errors.DrainingConnectionError,
  errors.NoRespondersError,
  errors.PermissionViolationError,
  errors.ProtocolError,
  errors.RequestError,
  errors.TimeoutError,
  errors.UserAuthenticationExpiredError,
];

/** Tells whether an error of the client for NATS is about the bus, rather than about what it was asked to do. */
export function isBusError(error: unknown): boolean {
  // The client keeps this one to itself: thrown when nothing answers for a subject, as when its stream is missing.
  if (error instanceof Error && error.name === "JetStreamNotEnabled") return true;
  return lost.some((kind) => error instanceof kind);
}

/** JetStream's own number of an error, such as 10059 for a stream that is not found; undefined for any other error. */
export function apiErrorCode(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}
