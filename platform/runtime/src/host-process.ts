import { type Logger, newSecret } from "@shop/core";
import type { Metrics } from "./metrics/metrics.ts";
import { serveMetrics } from "./metrics/metrics-server.ts";
import type { PlatformConfig } from "./platform-config.ts";

/** The port of each module, by its name. */
export type Ports = Readonly<Record<string, number>>;

/** The process that modules run in: alone, or one of several workers. */
export interface HostProcess {
  /**
   * Stands in for secrets that nobody has set: random, another one at each start, and the same in all workers of a process.
   */
  readonly generatedSecret: string;
  /** What every line of its log says besides. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /** Has the metrics scraped at METRICS_PORT; the answer ends that. */
  showMetrics(metrics: Metrics, settings: PlatformConfig, log: Logger): Promise<{ close(): Promise<void> }>;
  /** All is up. */
  ready(ports: Ports, log: Logger): void;
}

/** A process that runs its modules itself. */
export function standalone(): HostProcess {
  return {
    generatedSecret: newSecret(),
    logFields: {},
    showMetrics: async (metrics, { METRICS_HOST, METRICS_PORT }, log) =>
      await serveMetrics(metrics, METRICS_HOST, METRICS_PORT!, log),
    ready: (ports, log) => log.info({ ports }, "ready"),
  };
}
