/** A recorded span. */
export interface StoredSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first span of a trace. */
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
  /** `service.name` and `service.instance.id` of its process. */
  readonly service: string;
  readonly instance: string;
  /** Milliseconds since 1970, with microseconds after the point. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly SpanReference[];
}

export interface SpanReference {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string | undefined;
}

/** A trace in a list. */
export interface TraceSummary {
  readonly traceId: string;
  /** The name of its first span, or of the earliest one that has arrived. */
  readonly name: string;
  readonly services: readonly string[];
  readonly spans: number;
  readonly startMs: number;
  readonly durationMs: number;
  readonly isError: boolean;
}

/** A trace, with the spans of other traces that link to it. */
export interface StoredTrace {
  readonly spans: readonly StoredSpan[];
  readonly linkedBy: readonly { readonly from: StoredSpan; readonly spanId: string }[];
}

/** Traces in memory, the most recent ones. */
export interface TraceStore {
  /** Adds the spans of an ExportTraceServiceRequest in JSON. Throws TypeError if it is none. */
  add(request: unknown): void;
  /** Newest first. */
  list(limit: number): TraceSummary[];
  /** Its spans by start. */
  find(traceId: string): StoredTrace | undefined;
  /** All spans, in the order in which their traces arrived. */
  all(): StoredSpan[];
}

const kinds = ["internal", "internal", "server", "client", "producer", "consumer"] as const;
const errorStatus = 2;

/** @param maxSpans the oldest traces are dropped when there are more spans than this */
export function createTraceStore(maxSpans = 100_000): TraceStore {
  const traces = new Map<string, StoredSpan[]>();
  let count = 0;

  function keep(span: StoredSpan): void {
    const spans = traces.get(span.traceId) ?? [];
    spans.push(span);
    traces.set(span.traceId, spans);
    count++;
    while (count > maxSpans && traces.size > 1) {
      const [oldest, dropped] = traces.entries().next().value!;
      traces.delete(oldest);
      count -= dropped.length;
    }
  }

  return {
    add(request) {
      for (const span of spansOf(request as ExportRequest)) keep(span);
    },
    list: (limit) => [...traces.values()].slice(-limit).reverse().map(summaryOf),
    find(traceId) {
      const spans = traces.get(traceId)?.toSorted((a, b) => a.startMs - b.startMs);
      if (spans === undefined) return undefined;
      const linkedBy = [...traces.values()]
        .flat()
        .flatMap((from) =>
          from.links.flatMap((link) => (link.traceId === traceId ? [{ from, spanId: link.spanId }] : [])),
        );
      return { spans, linkedBy };
    },
    all: () => [...traces.values()].flat(),
  };
}

function summaryOf(spans: readonly StoredSpan[]): TraceSummary {
  const startMs = Math.min(...spans.map((span) => span.startMs));
  const endMs = Math.max(...spans.map((span) => span.startMs + span.durationMs));
  const first = spans.find(({ parentSpanId }) => parentSpanId === undefined);
  const { traceId, name } = first ?? spans.find((span) => span.startMs === startMs)!;
  return {
    traceId,
    name,
    services: [...new Set(spans.map(({ service }) => service))],
    spans: spans.length,
    startMs,
    durationMs: endMs - startMs,
    isError: spans.some(({ isError }) => isError),
  };
}

/** The part of OTLP's JSON that is used (opentelemetry/proto/trace/v1/trace.proto; ids are hexadecimal in JSON). */
interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind?: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string; readonly traceState?: string }[];
  readonly status?: { readonly code?: number };
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

function spansOf(request: ExportRequest): StoredSpan[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const process = attributesOf(resource?.attributes);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => toSpan(span, process)));
  });
}

function toSpan(span: OtlpSpan, process: Readonly<Record<string, unknown>>): StoredSpan {
  const startMs = millisecondsOf(span.startTimeUnixNano);
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || undefined,
    traceState: span.traceState || undefined,
    name: span.name,
    kind: kinds[span.kind ?? 0] ?? "internal",
    service: String(process["service.name"]),
    instance: String(process["service.instance.id"]),
    startMs,
    durationMs: millisecondsOf(span.endTimeUnixNano) - startMs,
    isError: span.status?.code === errorStatus,
    attributes: attributesOf(span.attributes),
    links: (span.links ?? []).map(({ traceId, spanId, traceState }) => ({
      traceId,
      spanId,
      traceState: traceState || undefined,
    })),
  };
}

function attributesOf(attributes: readonly KeyValue[] = []): Record<string, unknown> {
  // A value is an object with one field, named after its type; integers may be decimal strings.
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

function millisecondsOf(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1000n) / 1000;
}
