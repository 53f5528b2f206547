import type { CacheMetrics } from "@shop/cache";
import {
  currentTrace,
  type GaugeDefinition,
  type GaugeSource,
  type HistogramDefinition,
  type Logger,
  type Reading,
} from "@shop/core";
import type { PortMetrics } from "@shop/rpc-server";
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
  type RegistryContentType,
} from "prom-client";

/** Metrics that can be scraped. */
export interface Scrape {
  readonly contentType: string;
  /** All metrics in Prometheus' text format, within two seconds. Never rejects. */
  text(): Promise<string>;
}

/** The metrics of a process in a form that can be sent to another one. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[];

/** The metrics of one process. */
export interface Metrics extends Scrape, PortMetrics, CacheMetrics {
  /** The metrics of the public port, whose calls have the label `port="public"`; all others have `port="internal"`. */
  readonly publicPort: PortMetrics;
  /** Creates a histogram without labels, and returns the function that adds a value to it. */
  histogram(definition: HistogramDefinition): (value: number) => void;
  add(source: GaugeSource): void;
  /** The values in `text`. */
  values(): Promise<MetricValues>;
}

/** Gauges are read from their sources at most once in this time, however often they are scraped. */
const defaultKeepMs = 5_000;
/** A source that does not answer within this time counts as unavailable. */
const readTimeoutMs = 1_500;
/** In seconds, from the duration of a cached read to the longest that a caller usually waits. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * @param keepMs how long gauges read from dependencies are reused, in milliseconds
 * @param exemplars whether durations of calls name the trace of a sampled one, which needs the format OpenMetrics
 */
export function createMetrics(log: Logger, { keepMs = defaultKeepMs, exemplars = false } = {}): Metrics {
  const registry: Registry<RegistryContentType> = new Registry();
  if (exemplars) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  collectDefaultMetrics({ register: registry });
  const durations = new Histogram({
    name: "shop_rpc_duration_seconds",
    help: "Duration of the calls that this process answered",
    labelNames: ["port", "method", "code"],
    buckets: durationBuckets,
    registers: [registry],
    enableExemplars: exemplars,
  });
  const refusedConnections = new Counter({
    name: "shop_connections_refused_total",
    help: "Connections to the public port refused because of a limit: of all, or of those from one address",
    labelNames: ["limit"],
    registers: [registry],
  });
  const refusedBytes = new Counter({
    name: "shop_bytes_refused_total",
    help: "Requests refused, and answers aborted, because the budget of buffered bytes was used up",
    labelNames: ["what"],
    registers: [registry],
  });
  const networkErrors = new Counter({
    name: "shop_network_errors_total",
    help: "Errors of connections, sessions, streams and requests, and contained exceptions of our own code",
    labelNames: ["on", "kind"],
    registers: [registry],
  });
  const cacheReads = new Counter({
    name: "shop_cache_reads_total",
    help: "Answers of cached reads, by source",
    labelNames: ["read", "source"],
    registers: [registry],
  });
  const up = new Gauge({
    name: "shop_dependency_up",
    help: "1 if the gauges of this dependency could be read; if 0, they are absent",
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

  async function readIfStale(): Promise<void> {
    if (last === undefined || performance.now() - last.at > keepMs) last = { at: performance.now(), read: readAll() };
    await last.read;
  }

  function observeWithTrace(labels: Record<"port" | "method" | "code", string>, value: number): void {
    const context = currentTrace()?.span?.spanContext();
    const exemplarLabels: object = context === undefined ? {} : { trace_id: context.traceId, span_id: context.spanId };
    durations.observe({ labels, value, exemplarLabels });
  }

  const portMetrics = (port: "public" | "internal"): PortMetrics => ({
    called(method, code, seconds) {
      if (exemplars) observeWithTrace({ port, method, code }, seconds);
      else durations.observe({ port, method, code }, seconds);
    },
    connectionRefused: (limit) => refusedConnections.inc({ limit }),
    bytesRefused: (what) => refusedBytes.inc({ what }),
    networkError: (on, kind) => networkErrors.inc({ on, kind }),
  });

  return {
    ...portMetrics("internal"),
    publicPort: portMetrics("public"),
    histogram({ name, help, buckets }) {
      const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [registry] });
      return (value) => histogram.observe(value);
    },
    cacheRead: (read, source) => cacheReads.inc({ read, source }),
    add: (source) => void sources.push(source),
    contentType: registry.contentType,
    async text() {
      await readIfStale();
      return await registry.metrics();
    },
    async values() {
      await readIfStale();
      return await registry.getMetricsAsJSON();
    },
  };
}

/**
 * The metrics of the workers that form one process to the outside: each value has its worker in the label `worker`.
 *
 * @param exemplars whether those of the workers have exemplars
 */
export function metricsOfWorkers(
  workers: readonly { readonly number: number; metrics(): Promise<MetricValues | undefined> }[],
  { exemplars = false } = {},
): Scrape {
  const contentType = exemplars ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
  return {
    contentType,
    async text() {
      const values = await Promise.all(
        workers.map(async (worker) => labelled((await worker.metrics()) ?? [], String(worker.number))),
      );
      return await textOf(values.flat(), contentType);
    },
  };
}

/** The text of metrics, of which several may have the same name. */
async function textOf(metrics: MetricValues, contentType: RegistryContentType): Promise<string> {
  const registry: Registry<RegistryContentType> = new Registry();
  registry.setContentType(contentType);
  for (const [, alike] of Map.groupBy(metrics, (metric) => metric.name)) {
    const all = { ...alike[0]!, values: alike.flatMap(({ values }) => values) };
    // To print a metric, a registry reads its name, type and values only.
    const printed = { ...all, get: async () => printed };
    registry.registerMetric(printed as unknown as Metric);
  }
  return await registry.metrics();
}

function labelled(metrics: MetricValues, worker: string): MetricValues {
  return metrics.map((metric) => ({
    ...metric,
    values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, worker } })),
  }));
}
