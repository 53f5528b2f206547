import { type Logger, newSecret } from "@shop/core";
import type { Metrics } from "./metrics/metrics.ts";
import { serveMetrics } from "./metrics/metrics-server.ts";
import type { PlatformConfig } from "./platform-config.ts";

/** Port numbers by module name. */
export type Ports = Readonly<Record<string, number>>;

/** The process that modules run in: a single one, or one of several workers. */
export interface HostProcess {
  /** Replaces secrets that are not configured: random, different at each start, and the same in all workers of a process. */
  readonly generatedSecret: string;
  /** Fields of every log line. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /** Exposes the metrics at METRICS_PORT, until `close`. */
  showMetrics(metrics: Metrics, settings: PlatformConfig, log: Logger): Promise<{ close(): Promise<void> }>;
  /** Called when everything has started. */
  ready(ports: Ports, log: Logger): void;
}

/** A single process, without workers. */
export function standalone(): HostProcess {
  return {
    generatedSecret: newSecret(),
    logFields: {},
    showMetrics: async (metrics, { METRICS_HOST, METRICS_PORT }, log) =>
      await serveMetrics(metrics, METRICS_HOST, METRICS_PORT!, log),
    ready: (ports, log) => log.info({ ports }, "ready"),
  };
}
