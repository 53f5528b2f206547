import type { RefusedConnection } from "@shop/http-port";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { rateLimitedLog } from "../rate-limited-log.ts";

/** Counts connections that are refused, and logs some of them. */
export function reportRefusedConnections({
  log,
  metrics,
}: {
  readonly log: Pick<Logger, "warn">;
  readonly metrics: Metrics | undefined;
}): (refusal: RefusedConnection) => void {
  const logRefusal = rateLimitedLog<RefusedConnection>((refusal, refused) =>
    log.warn({ ...refusal, refused }, "too many connections"),
  );
  return (refusal) => {
    metrics?.connectionRefused(refusal.limit);
    logRefusal(refusal);
  };
}
