import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";

/** The reason of a failed call, as docs/errors.md lists them: what programs decide by. Undefined when it gives none. */
export function reasonOf(error: unknown): string | undefined {
  return error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
}

/** Milliseconds after which the server wants to be asked again (google.rpc.RetryInfo). */
export function retryAfterMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}

/**
 * Whether the call got lost on its way there or back, or met nobody: it may have been processed or not. Transports tell of it
 * in several ways, but only what failed on this side has a cause; what a server says came without.
 */
export function isLost(error: ConnectError): boolean {
  // Canceled by whom? Of a caller that has left nothing is asked any more; Node says it of a stream whose connection went away.
  if (error.code === Code.Unavailable || error.code === Code.Canceled) return true;
  return error.cause !== undefined && (error.code === Code.Unknown || error.code === Code.Aborted);
}

export function isUnauthenticated(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unauthenticated;
}

/** What a call gets that would have to be made as somebody who is not signed in any more. */
export function sessionEnded(): ConnectError {
  return new ConnectError("the session has ended, sign in again", Code.Unauthenticated, undefined, [
    { desc: ErrorInfoSchema, value: { reason: "SESSION_ENDED", domain: "shop.client" } },
  ]);
}
