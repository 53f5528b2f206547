import { type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import { currentTraceId } from "./trace.ts";

export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error" | "child">;

/** JSON lines on standard output; every line carries the trace it was written in. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    mixin: () => {
      const traceId = currentTraceId();
      return traceId === undefined ? {} : { trace_id: traceId };
    },
    redact: ["password", "access_token", "accessToken", "refresh_token", "refreshToken"].flatMap((secret) => [
      secret,
      `*.${secret}`,
    ]),
  });
}
