import { JetStreamApiError, JetStreamError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";

/** Errors that the client throws if the server, its JetStream, a stream or a permission is missing. */
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

/** Whether an error of the NATS client means that the bus is unavailable, rather than that the request was wrong. */
export function isBusError(error: unknown): boolean {
  // Not exported by the client: thrown if nothing answers for a subject, as when its stream is missing.
  if (error instanceof Error && error.name === "JetStreamNotEnabled") return true;
  return lost.some((kind) => error instanceof kind);
}

/** JetStream's error number, such as 10059 for a stream that is not found; undefined for any other error. */
export function apiErrorCode(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}
