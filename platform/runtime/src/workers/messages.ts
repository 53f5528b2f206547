import type { Ports } from "../host-process.ts";
import type { MetricValues } from "../metrics/metrics.ts";

/** What a worker is told by the process that started it. */
export type ToWorker =
  /** Comes first. */
  | { readonly kind: "start"; readonly number: number; readonly generatedSecret: string }
  | { readonly kind: "tell_metrics" }
  /** Drain, and end. */
  | { readonly kind: "stop" };

/** What a worker tells it. */
export type FromWorker =
  | { readonly kind: "ready"; readonly ports: Ports }
  | { readonly kind: "metrics"; readonly values: MetricValues };
