import type { CacheMetrics } from "@shop/cache";
import type { GaugeDefinition, GaugeSource, Logger, Reading } from "@shop/core";
import type { PortMetrics } from "@shop/rpc-server";
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from "prom-client";

/** What is scraped. */
export interface Scrape {
  readonly contentType: string;
  /** Everything in Prometheus' text format, within two seconds. Never rejects. */
  text(): Promise<string>;
}

/** Everything that a process measures, as one can tell another. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[];

/** The metrics of one process. */
export interface Metrics extends Scrape, PortMetrics, CacheMetrics {
  add(source: GaugeSource): void;
  /** What `text` tells. */
  values(): Promise<MetricValues>;
}

/** Scraping more often than this, by however many, reads nothing anew. */
const defaultKeepMs = 5_000;
/** What a source has not said by then counts as not known. */
const readTimeoutMs = 1_500;
/** In seconds: from what a cached read takes to the longest that a caller usually waits. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(log: Logger, { keepMs = defaultKeepMs } = {}): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const durations = new Histogram({
    name: "shop_rpc_duration_seconds",
    help: "How long the calls took that this process answered",
    labelNames: ["method", "code"],
    buckets: durationBuckets,
    registers: [registry],
  });
  const refusedConnections = new Counter({
    name: "shop_connections_refused_total",
    help: "Connections to the public port that were one too many: of all, or of those from one address",
    labelNames: ["limit"],
    registers: [registry],
  });
  const refusedBytes = new Counter({
    name: "shop_bytes_refused_total",
    help: "Requests refused, and answers broken off, because more of them would have waited in memory than may",
    labelNames: ["what"],
    registers: [registry],
  });
  const networkErrors = new Counter({
    name: "shop_network_errors_total",
    help: "Errors of connections, sessions, streams and requests, and exceptions of our own that were contained in one of them",
    labelNames: ["on", "kind"],
    registers: [registry],
  });
  const cacheReads = new Counter({
    name: "shop_cache_reads_total",
    help: "Answers read through the cache, by where they came from",
    labelNames: ["read", "source"],
    registers: [registry],
  });
  const up = new Gauge({
    name: "shop_dependency_up",
    help: "1 if all that is measured in this dependency could be read; if 0, its gauges are absent",
    labelNames: ["dependency"],
    registers: [registry],
  });
  const gauges = new Map<string, Gauge>();
  const sources: GaugeSource[] = [];
  let last: { readonly at: number; readonly read: Promise<void> } | undefined;

  function gaugeOf({ name, help, labelNames }: GaugeDefinition): Gauge {
    const known = gauges.get(name) ?? new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
    gauges.set(name, known);
    return known;
  }

  async function readInTime(source: GaugeSource): Promise<readonly Reading[] | undefined> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no answer within ${readTimeoutMs} ms`)), readTimeoutMs);
    try {
      return await Promise.race([source.read(), tooLate]);
    } catch (error) {
      log.warn({ err: error, dependency: source.dependency }, "gauges can't be read");
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  async function readAll(): Promise<void> {
    const results = await Promise.all(sources.map(async (source) => ({ source, readings: await readInTime(source) })));
    for (const gauge of gauges.values()) gauge.reset();
    for (const { source } of results) up.set({ dependency: source.dependency }, 1);
    for (const { source, readings } of results) {
      if (readings === undefined) up.set({ dependency: source.dependency }, 0);
      for (const { gauge, labels, value } of readings ?? []) gaugeOf(gauge).set({ ...labels }, value);
    }
  }

  async function readLately(): Promise<void> {
    if (last === undefined || performance.now() - last.at > keepMs) last = { at: performance.now(), read: readAll() };
    await last.read;
  }

  return {
    called: (method, code, seconds) => durations.observe({ method, code }, seconds),
    connectionRefused: (limit) => refusedConnections.inc({ limit }),
    bytesRefused: (what) => refusedBytes.inc({ what }),
    networkError: (on, kind) => networkErrors.inc({ on, kind }),
    cacheRead: (read, source) => cacheReads.inc({ read, source }),
    add: (source) => void sources.push(source),
    contentType: registry.contentType,
    async text() {
      await readLately();
      return await registry.metrics();
    },
    async values() {
      await readLately();
      return await registry.getMetricsAsJSON();
    },
  };
}

/** The metrics of several processes that look like one from outside: each value says, as `worker`, whose it is. */
export function metricsOfWorkers(
  workers: readonly { readonly number: number; metrics(): Promise<MetricValues | undefined> }[],
): Scrape {
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async text() {
      const told = await Promise.all(
        workers.map(async (worker) => labelled((await worker.metrics()) ?? [], String(worker.number))),
      );
      return await AggregatorRegistry.aggregate(told).metrics();
    },
  };
}

function labelled(metrics: MetricValues, worker: string): MetricValues {
  return metrics.map((metric) => ({
    ...metric,
    // Each value is the only one of its labels: none is added up, and none left out.
    aggregator: "sum",
    values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, worker } })),
  }));
}
