import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { dependencyLost } from "./errors.ts";

/** How long a unary method may take where it is implemented, in milliseconds, whatever deadline the caller sets. */
const maxDurationMs = { read: 4_000, write: 5_000 };
/** The process that forwards a call waits this much longer: the one that implements the method knows more about the failure. */
const hopMs = 300;

/** Whether a method changes nothing, as its `idempotency_level` says. */
export function isRead(method: DescMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

/** How long a process that forwards a unary call waits for its answer, in milliseconds. */
export function forwardingTimeoutMs(method: DescMethod): number {
  return maxDurationOf(method) + hopMs;
}

/** The deadline in a request's headers, in milliseconds from its arrival; undefined without one, or with one that is refused later. */
export function callerTimeoutMs(headers: IncomingHttpHeaders): number | undefined {
  const { "grpc-timeout": ofGrpc, "connect-timeout-ms": ofConnect } = headers;
  if (ofGrpc !== undefined) return parseGrpcTimeout(String(ofGrpc), Number.MAX_SAFE_INTEGER).timeoutMs;
  if (ofConnect !== undefined) return parseConnectTimeout(String(ofConnect), Number.MAX_SAFE_INTEGER).timeoutMs;
  return undefined;
}

/** What a caller is told about a call that has no answer although the service was reached. */
export function unansweredMessage(method: DescMethod): string {
  return isRead(method)
    ? "the service did not answer in time"
    : "the service did not answer in time, and may have done what was asked";
}

/**
 * Ends a unary call at its caller's deadline, or with DEPENDENCY_UNAVAILABLE when it takes longer than any call may: a database that
 * hangs rather than fails must not make its callers wait. The method itself goes on; so a write may still be done.
 */
export function deadlineInterceptor(): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return await next(request);
    const { method, header } = request;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(dependencyLost(unansweredMessage(method))), maxDurationOf(method));
    // To read the signal makes one: only where there is a deadline to watch.
    const signal = header.has("connect-timeout-ms") || header.has("grpc-timeout") ? request.signal : undefined;
    const end = () => late.reject(signal!.reason);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end);
    try {
      return await Promise.race([next(request), late.promise]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  };
}

function maxDurationOf(method: DescMethod): number {
  return isRead(method) ? maxDurationMs.read : maxDurationMs.write;
}
