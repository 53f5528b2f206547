import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { callerTraceparentHeader, DomainError, inTrace, type Logger, traceparentHeader } from "@shop/core";
import { whenEnded } from "./when-ended.ts";

/** Codes that mean that we failed, not that the caller asked for something wrong. */
const ourFault = new Set([Code.Internal, Code.Unknown, Code.DataLoss, Code.Unimplemented]);
const environmentsFault = new Set([Code.Unavailable, Code.DeadlineExceeded]);

/** The outermost interceptor: starts or continues the trace, and writes one line per call (debug when all is well). */
export function loggingInterceptor(log: Logger): Interceptor {
  return (next) => (request) => {
    const work = async () => {
      const startedAt = performance.now();
      const method = `${request.service.typeName}/${request.method.name}`;
      return await whenEnded(next, request, (error) => writeLine(log, method, performance.now() - startedAt, error));
    };
    return inTrace(request.header.get(traceparentHeader), work, request.header.get(callerTraceparentHeader));
  };
}

function writeLine(log: Logger, method: string, durationMs: number, error: unknown): void {
  const line = { method, duration_ms: Math.round(durationMs * 10) / 10 };
  if (error === undefined) {
    log.debug({ ...line, code: "ok" }, "call");
    return;
  }
  const { code, rawMessage, cause } = ConnectError.from(error);
  const failed = { ...line, code: Code[code], err: cause ?? rawMessage };
  // A watch that ends with its process ends as it should.
  const isStopping = cause instanceof DomainError && cause.reason === "SERVICE_STOPPING";
  if (ourFault.has(code)) log.error(failed, "call failed");
  else if (environmentsFault.has(code) && !isStopping) log.warn(failed, "call failed");
  else log.debug({ ...line, code: Code[code], reason: rawMessage }, "call refused");
}
