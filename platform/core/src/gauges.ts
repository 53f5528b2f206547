/** One value of a gauge. */
export interface Reading {
  readonly gauge: GaugeDefinition;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The unit comes last in the name, as Prometheus has it (https://prometheus.io/docs/practices/naming/). */
export interface GaugeDefinition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** Gauges that are read together, from one dependency. */
export interface GaugeSource {
  readonly dependency: "mongodb" | "nats" | "redis";
  /** As it is now. Rejects when it can't be known: then these gauges are absent, rather than old. */
  read(): Promise<readonly Reading[]>;
}
