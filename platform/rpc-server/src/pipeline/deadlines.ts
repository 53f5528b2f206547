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
  return (next) => (request) => {
    if (request.stream) return next(request);
    const { method, header } = request;
    // To read the signal makes one: only where there is a deadline to watch.
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
 * Calls that may all take equally long: the one that began first is late first, so one timer serves them all. A timer for each call
 * costs more than the rest of its deadline.
 */
class RunningCalls {
  readonly #maxMs: number;
  /** In the order in which they began. */
  readonly #calls = new Set<RunningCall>();
  #timer: NodeJS.Timeout | undefined;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** @param late called once, when the call has taken too long and has not ended */
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
