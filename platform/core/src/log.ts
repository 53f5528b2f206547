import { type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import { callerTraceId, currentTraceId } from "./trace.ts";

export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error" | "child">;

/**
 * JSON lines on standard output; every line carries `fields`, and the trace it was written in, with that of the caller from outside. A reader that stalls or goes holds nothing up:
 * what it does not take is lost when the process exits.
 */
export function createLogger(level: string, fields: Readonly<Record<string, unknown>> = {}): Logger {
  if (!process.stdout.listeners("error").includes(ignore)) process.stdout.on("error", ignore);
  return pino(
    {
      level,
      base: fields,
      formatters: { level: (level) => ({ level }) },
      timestamp: stdTimeFunctions.isoTime,
      mixin: () => {
        const traceId = currentTraceId();
        if (traceId === undefined) return {};
        const callers = callerTraceId();
        return { trace_id: traceId, ...(callers !== undefined && { caller_trace_id: callers }) };
      },
      redact: ["password", "access_token", "accessToken", "refresh_token", "refreshToken"].flatMap((secret) => [
        secret,
        `*.${secret}`,
      ]),
    },
    standardOutput,
  );
}

// pino's own stream tries for ever, when the process exits, to write what nobody reads.
const standardOutput = {
  write(line: string): void {
    process.stdout.write(line);
  },
};

function ignore(): void {}
