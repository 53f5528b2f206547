import { type Logger, rateLimitedLog } from "@shop/core";
import type { NetworkError } from "@shop/http-port";
import type { PortMetrics } from "./port-metrics.ts";

/** Counts errors on connections and logs a sample: exceptions are bugs of ours, errors are caused by peers. */
export function reportNetworkErrors({
  log,
  metrics,
}: {
  readonly log: Pick<Logger, "error" | "info">;
  readonly metrics: Partial<Pick<PortMetrics, "networkError">> | undefined;
}): (error: NetworkError) => void {
  const logException = rateLimitedLog<NetworkError>(({ on, error }, times) =>
    log.error({ on, err: error, times }, "an exception was contained"),
  );
  const logError = rateLimitedLog<NetworkError>(({ on, error }, times) =>
    log.info({ on, reason: error instanceof Error ? error.message : String(error), times }, "a connection broke"),
  );
  return (error) => {
    metrics?.networkError?.(error.on, error.kind);
    if (error.kind === "exception") logException(error);
    else logError(error);
  };
}
