import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { dependencyLost } from "./errors.ts";

/** The longest duration of a unary method in the process that hosts it, in milliseconds, whatever the caller's deadline. */
const maxDurationMs = { read: 4_000, write: 5_000 };
/** A forwarding process waits this much longer, because the hosting process has the more specific error. */
const hopMs = 300;

/** Whether a method changes nothing, as its `idempotency_level` says. */
export function isRead(method: DescMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

/** How long a forwarding process waits for the answer to a unary call, in milliseconds. */
export function forwardingTimeoutMs(method: DescMethod): number {
  return maxDurationOf(method) + hopMs;
}

/** The timeout in a request's headers, in milliseconds from its arrival; undefined if absent, or invalid and refused later. */
export function callerTimeoutMs(headers: IncomingHttpHeaders): number | undefined {
  const { "grpc-timeout": ofGrpc, "connect-timeout-ms": ofConnect } = headers;
  if (ofGrpc !== undefined) return parseGrpcTimeout(String(ofGrpc), Number.MAX_SAFE_INTEGER).timeoutMs;
  if (ofConnect !== undefined) return parseConnectTimeout(String(ofConnect), Number.MAX_SAFE_INTEGER).timeoutMs;
  return undefined;
}

/** The error message for a call that reached the service and was not answered in time. */
export function unansweredMessage(method: DescMethod): string {
  return isRead(method)
    ? "the service did not answer in time"
    : "the service did not answer in time, and may have done what was asked";
}

/**
 * Ends a unary call at its caller's deadline, or with DEPENDENCY_UNAVAILABLE once it exceeds the longest duration of any call:
 * a hanging database must not make callers wait. The method continues to run, so a write may still take effect.
 */
export function deadlineInterceptor(): Interceptor {
  return (next) => (request) => {
    if (request.stream) return next(request);
    const { method, header } = request;
    // Reading the signal creates it: only if there is a deadline to watch.
    const signal = header.has("connect-timeout-ms") || header.has("grpc-timeout") ? request.signal : undefined;
    return new Promise((resolve, reject) => {
      const end = () => reject(signal!.reason);
      if (signal?.aborted) return end();
      signal?.addEventListener("abort", end);
      const running = runningCalls[kindOf(method)];
      const call = running.begin(() => reject(dependencyLost(unansweredMessage(method))));
      const settled = () => {
        running.end(call);
        signal?.removeEventListener("abort", end);
      };
      next(request).then(
        (response) => {
          settled();
          resolve(response);
        },
        (error: unknown) => {
          settled();
          reject(error);
        },
      );
    });
  };
}

/**
 * Tracks calls with the same longest duration. The call that began first is due first, so one timer, always set for the oldest
 * call, serves them all. A timer per call would cost more than the rest of its deadline.
 */
class RunningCalls {
  readonly #maxMs: number;
  /** In the order of their start. */
  readonly #calls = new Set<RunningCall>();
  #timer: NodeJS.Timeout | undefined;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** @param late called once, if the call exceeds its longest duration */
  begin(late: () => void): RunningCall {
    const call = { until: performance.now() + this.#maxMs, late };
    this.#calls.add(call);
    this.#timer ??= setTimeout(this.#look, this.#maxMs);
    return call;
  }

  end(call: RunningCall): void {
    this.#calls.delete(call);
  }

  readonly #look = () => {
    const now = performance.now();
    this.#timer = undefined;
    for (const call of this.#calls) {
      if (call.until > now) {
        this.#timer = setTimeout(this.#look, call.until - now);
        return;
      }
      this.#calls.delete(call);
      call.late();
    }
  };
}

interface RunningCall {
  readonly until: number;
  readonly late: () => void;
}

const runningCalls = { read: new RunningCalls(maxDurationMs.read), write: new RunningCalls(maxDurationMs.write) };

function maxDurationOf(method: DescMethod): number {
  return maxDurationMs[kindOf(method)];
}

function kindOf(method: DescMethod): keyof typeof maxDurationMs {
  return isRead(method) ? "read" : "write";
}
