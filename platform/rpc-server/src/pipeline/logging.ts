import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { currentTrace, DomainError, inTraceOf, type Logger } from "@shop/core";
import { codeOf, setOutcome } from "./tracing.ts";
import { whenEnded } from "./when-ended.ts";

/** Codes of failures of the service, rather than of the request. */
const ourFault = new Set([Code.Internal, Code.Unknown, Code.DataLoss, Code.Unimplemented]);
const environmentsFault = new Set([Code.Unavailable, Code.DeadlineExceeded]);

/**
 * The outermost interceptor: continues the trace or starts one, sets the outcome on the call's span, and logs one line per call,
 * at level debug unless the service or a dependency failed.
 */
export function loggingInterceptor(log: Logger): Interceptor {
  return (next) => (request) => {
    const work = async () => {
      const startedAt = performance.now();
      const method = `${request.service.typeName}/${request.method.name}`;
      const trace = currentTrace();
      return await whenEnded(next, request, (error) => {
        setOutcome(trace, codeOf(error));
        writeLine(log, method, performance.now() - startedAt, error);
      });
    };
    return inTraceOf(request.header, work);
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
  // Watches end with this error when their process stops.
  const isStopping = cause instanceof DomainError && cause.reason === "SERVICE_STOPPING";
  if (ourFault.has(code)) log.error(failed, "call failed");
  else if (environmentsFault.has(code) && !isStopping) log.warn(failed, "call failed");
  else log.debug({ ...line, code: Code[code], reason: rawMessage }, "call refused");
}
