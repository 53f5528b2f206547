import { Code, type ConnectError } from "@connectrpc/connect";

const statuses = new WeakMap<ConnectError, number>();

/** Sets an HTTP status other than the code's, for cases that only HTTP distinguishes (413, 415). */
export function withHttpStatus(error: ConnectError, status: number): ConnectError {
  statuses.set(error, status);
  return error;
}

/** The HTTP status of an error: one set by withHttpStatus, or the one of its code in google/rpc/code.proto. */
export function httpStatus(error: ConnectError): number {
  return statuses.get(error) ?? codeStatuses[error.code] ?? 500;
}

const codeStatuses: Record<Code, number> = {
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
};
