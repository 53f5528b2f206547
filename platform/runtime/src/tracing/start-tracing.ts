import { setTimeout as delay } from "node:timers/promises";
import { recordTraces } from "@shop/core";
import type { PlatformConfig } from "../platform-config.ts";
import { createBudget } from "./budget.ts";

/** The most spans that wait to be exported; further ones are dropped. */
const maxQueuedSpans = 8_192;
/** How often waiting spans are exported, in milliseconds. */
const exportIntervalMs = 1_000;
/** How long the end of the process waits for the last export, in milliseconds: a receiver that is down is retried for longer. */
const closeTimeoutMs = 2_000;
/** A batch of events has a link for each of its events. */
const maxLinks = 1_024;

/** Recording of spans, until `close`. */
export interface Tracing {
  /** Exports what was recorded, for two seconds at most. Never rejects. */
  close(): Promise<void>;
}

/**
 * Records spans and exports them by OTLP over HTTP, if OTEL_EXPORTER_OTLP_ENDPOINT is set. OpenTelemetry's SDK is loaded only then.
 *
 * @param process the values of `service.name`, unless OTEL_SERVICE_NAME is set, and of `service.instance.id`
 */
export async function startTracing(
  settings: PlatformConfig,
  process: { readonly name: string; readonly instance: string },
): Promise<Tracing | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: ratio } = settings;
  if (endpoint === undefined) return undefined;
  const [{ AlwaysOnSampler, BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] =
    await Promise.all([
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
    ]);
  // The exporter reads the other OTEL_EXPORTER_OTLP_* variables itself.
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` });
  const provider = new TracerProvider({
    // Spans are started for sampled work only.
    sampler: new AlwaysOnSampler(),
    spanLimits: { linkCountLimit: maxLinks },
    resource: resourceFromAttributes({
      "service.name": settings.OTEL_SERVICE_NAME ?? process.name,
      "service.namespace": "shop",
      "service.instance.id": process.instance,
    }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: maxQueuedSpans,
        scheduledDelayMillis: exportIntervalMs,
      }),
    ],
  });
  const share = { parentbased_always_on: 1, parentbased_always_off: 0, parentbased_traceidratio: ratio };
  const sampled = share[settings.OTEL_TRACES_SAMPLER];
  recordTraces({
    tracer: provider.getTracer("shop"),
    samplesNew: () => sampled === 1 || Math.random() < sampled,
    grantsRequest: createBudget(settings.TRACES_REQUESTED_PER_MINUTE),
  });
  return {
    async close() {
      recordTraces(undefined);
      await Promise.race([provider.shutdown().catch(() => {}), delay(closeTimeoutMs, undefined, { ref: false })]);
    },
  };
}
