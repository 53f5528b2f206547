import { type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import { currentTraceId } from "./trace.ts";

export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error" | "child">;

/**
 * JSON lines on standard output; every line carries `fields`, and the trace it was written in. A reader that stalls or goes holds nothing up:
 * what it does not take is lost when the process exits.
 */
export function createLogger(level: string, fields: Readonly<Record<string, unknown>> = {}): Logger {
  if (!process.stdout.listeners("error").includes(ignore)) process.stdout.on("error", ignore);
  return pino(
    {
      level,
      base: fields,
      timestamp: stdTimeFunctions.isoTime,
      mixin: () => {
        const traceId = currentTraceId();
        return traceId === undefined ? {} : { trace_id: traceId };
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
