import { type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import { currentTrace } from "./trace.ts";

export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error" | "child">;

/**
 * A logger of JSON lines on standard output. Every line has `fields`, the ids of the current trace and span, and the trace
 * id of an external caller. A reader that stalls or goes away blocks nothing: unread lines are lost when the process exits.
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
        const trace = currentTrace();
        if (trace === undefined) return {};
        return {
          trace_id: trace.id,
          ...(trace.span && { span_id: trace.span.spanContext().spanId }),
          ...(trace.callerId !== undefined && { caller_trace_id: trace.callerId }),
        };
      },
      redact: ["password", "access_token", "accessToken", "refresh_token", "refreshToken"].flatMap((secret) => [
        secret,
        `*.${secret}`,
      ]),
    },
    standardOutput,
  );
}

// At exit pino's own stream would retry writing unread output for ever.
const standardOutput = {
  write(line: string): void {
    process.stdout.write(line);
  },
};

function ignore(): void {}
