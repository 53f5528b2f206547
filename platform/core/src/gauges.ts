/** One value of a gauge. */
export interface Reading {
  readonly gauge: GaugeDefinition;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The unit is the last part of the name, as Prometheus recommends (https://prometheus.io/docs/practices/naming/). */
export interface GaugeDefinition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** A histogram without labels; the unit is the last part of the name. */
export interface HistogramDefinition {
  readonly name: string;
  readonly help: string;
  /** The upper bounds of its buckets, ascending. */
  readonly buckets: readonly number[];
}

/** Gauges that are read together, from one dependency. */
export interface GaugeSource {
  readonly dependency: "mongodb" | "nats" | "redis";
  /** Reads the current values. Rejects if they are unavailable: then these gauges are absent, rather than stale. */
  read(): Promise<readonly Reading[]>;
}
