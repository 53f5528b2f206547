import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";

/** The reason of a failed call (docs/errors.md lists them), for programs to decide by; undefined when the error has none. */
export function reasonOf(error: unknown): string | undefined {
  return error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
}

/** The server's retry delay in milliseconds (google.rpc.RetryInfo); undefined when the error has none. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}

/**
 * Whether the request or the response was lost, or the server was unreachable; the call may have been processed or not. Transports report
 * this with different codes, but only errors of this side have a cause; the server's have none.
 */
export function isLost(error: ConnectError): boolean {
  // A cancelled call is not examined here, so Canceled comes from Node, for a stream whose connection broke.
  if (error.code === Code.Unavailable || error.code === Code.Canceled) return true;
  return error.cause !== undefined && (error.code === Code.Unknown || error.code === Code.Aborted);
}

export function isUnauthenticated(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unauthenticated;
}

/** The error of a call whose user is no longer signed in. */
export function sessionEnded(): ConnectError {
  return new ConnectError("the session has ended, sign in again", Code.Unauthenticated, undefined, [
    { desc: ErrorInfoSchema, value: { reason: "SESSION_ENDED", domain: "shop.client" } },
  ]);
}
