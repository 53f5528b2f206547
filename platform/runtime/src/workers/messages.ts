import type { Ports } from "../host-process.ts";
import type { MetricValues } from "../metrics/metrics.ts";

/** Messages to a worker. */
export type ToWorker =
  /** The first message. */
  | { readonly kind: "start"; readonly number: number; readonly generatedSecret: string }
  | { readonly kind: "read_metrics" }
  /** Drain, and exit. */
  | { readonly kind: "stop" };

/** Messages from a worker. */
export type FromWorker =
  | { readonly kind: "ready"; readonly ports: Ports }
  | { readonly kind: "metrics"; readonly values: MetricValues };
