import { type Logger, rateLimitedLog } from "@shop/core";
import type { RefusedConnection } from "@shop/http-port";
import type { PortMetrics } from "./port-metrics.ts";

/** Counts refused connections, and logs a sample. */
export function reportRefusedConnections({
  log,
  metrics,
}: {
  readonly log: Pick<Logger, "warn">;
  readonly metrics: PortMetrics | undefined;
}): (refusal: RefusedConnection) => void {
  const logRefusal = rateLimitedLog<RefusedConnection>((refusal, refused) =>
    log.warn({ ...refusal, refused }, "too many connections"),
  );
  return (refusal) => {
    metrics?.connectionRefused(refusal.limit);
    logRefusal(refusal);
  };
}
