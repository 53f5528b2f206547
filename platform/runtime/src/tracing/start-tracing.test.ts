import { createServer } from "node:http";
import { inNewTrace, receiveTrace, recordsTraces } from "@shop/core";
import { portOf } from "@shop/http-port";
import { expect, onTestFinished, test } from "vitest";
import { createMetrics, metricsOfWorkers } from "../metrics/metrics.ts";
import { platformConfig } from "../platform-config.ts";
import { silentLog } from "../testing/index.ts";
import { createBudget } from "./budget.ts";
import { startTracing } from "./start-tracing.ts";

interface Exported {
  readonly path: string | undefined;
  readonly apiKey: string | undefined;
  readonly body: {
    readonly resourceSpans: readonly {
      readonly resource: { readonly attributes: readonly { readonly key: string; readonly value: object }[] };
      readonly scopeSpans: readonly { readonly spans: readonly { readonly name: string }[] }[];
    }[];
  };
}

/** A receiver of OTLP in JSON. */
async function openReceiver() {
  const received: Exported[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const { url: path, headers } = request;
      received.push({
        path,
        apiKey: headers["x-api-key"]?.toString(),
        body: JSON.parse(Buffer.concat(chunks).toString()),
      });
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { endpoint: `http://127.0.0.1:${portOf(server)}/`, received };
}

const settingsOf = (environment: Readonly<Record<string, string>>) => platformConfig.parse(environment);
const here = { name: "orders", instance: "host/1" };
const nothing = async () => {};

test("without an endpoint nothing is recorded", async () => {
  expect(await startTracing(settingsOf({}), here)).toBeUndefined();
  expect(recordsTraces()).toBe(false);
});

test("spans are exported at the latest when the process stops, with the name of the process", async () => {
  const { endpoint, received } = await openReceiver();
  const tracing = await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), here);
  await inNewTrace("job tidy", {}, nothing);
  await tracing!.close();
  expect(recordsTraces()).toBe(false);
  expect(received.map(({ path }) => path)).toEqual(["/v1/traces"]);
  const [{ resource, scopeSpans }] = received[0]!.body.resourceSpans as [Exported["body"]["resourceSpans"][number]];
  expect(scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name))).toEqual(["job tidy"]);
  expect(resource.attributes).toEqual(
    expect.arrayContaining([
      { key: "service.name", value: { stringValue: "orders" } },
      { key: "service.namespace", value: { stringValue: "shop" } },
      { key: "service.instance.id", value: { stringValue: "host/1" } },
    ]),
  );
});

test("the samplers decide about new traces", async () => {
  const { endpoint } = await openReceiver();
  const sampled = async (sampler: string, share = "1") => {
    const tracing = await startTracing(
      settingsOf({
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_TRACES_SAMPLER: sampler,
        OTEL_TRACES_SAMPLER_ARG: share,
        TRACES_REQUESTED_PER_MINUTE: "0",
      }),
      here,
    );
    const count = Array.from({ length: 2_000 }, () => receiveTrace({}, "linked")).filter(Boolean).length;
    await tracing!.close();
    return count / 2_000;
  };
  expect(await sampled("parentbased_always_on")).toBe(1);
  expect(await sampled("parentbased_always_off")).toBe(0);
  expect(await sampled("parentbased_traceidratio", "0")).toBe(0);
  // Outside of 0.2 to 0.3 once in millions of runs.
  const quarter = await sampled("parentbased_traceidratio", "0.25");
  expect(quarter).toBeGreaterThan(0.2);
  expect(quarter).toBeLessThan(0.3);
});

test.each([
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
  ["OTEL_TRACES_SAMPLER", "always_on"],
  ["OTEL_TRACES_SAMPLER_ARG", "10%"],
  ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
])("%s=%s is refused", (name, value) => {
  expect(() => settingsOf({ [name]: value })).toThrow(name);
});

test("a receiver that is down delays the end of the process by two seconds at most", async () => {
  const tracing = await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }), here);
  await inNewTrace("job tidy", {}, nothing);
  const endsAt = performance.now();
  await tracing!.close();
  expect(performance.now() - endsAt).toBeLessThan(4_000);
});

test("a budget grants a number of requests a minute", () => {
  const grants = createBudget(2);
  expect([grants(), grants(), grants()]).toEqual([true, true, false]);
  expect(createBudget(0)()).toBe(false);
});

test("durations of sampled calls have an exemplar with their trace, also those of workers", async () => {
  const { endpoint } = await openReceiver();
  const tracing = await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), here);
  const metrics = createMetrics(silentLog, { exemplars: true });
  // Values of workers travel between processes.
  const worker = (number: number) => ({ number, metrics: async () => structuredClone(await metrics.values()) });
  const ofWorkers = metricsOfWorkers([worker(1), worker(2)], { exemplars: true });
  metrics.called("A/B", "ok", 0.004);
  expect(await ofWorkers.text()).not.toContain("trace_id");
  await inNewTrace("call", {}, async () => metrics.called("A/B", "ok", 0.004));
  const textOfWorkers = await ofWorkers.text();
  const text = await metrics.text();
  await tracing!.close();

  const exemplar = String.raw`# \{trace_id="[0-9a-f]{32}",span_id="[0-9a-f]{16}"\} 0\.004 `;
  const bucket = (labels: string) =>
    new RegExp(String.raw`shop_rpc_duration_seconds_bucket\{.*le="0\.005".*${labels}\} 2 ${exemplar}`);
  expect(text).toMatch(bucket(""));
  for (const number of [1, 2]) expect(textOfWorkers).toMatch(bucket(`worker="${number}"`));
  for (const scrape of [metrics, ofWorkers]) expect(scrape.contentType).toContain("application/openmetrics-text");
  for (const shown of [text, textOfWorkers]) {
    expect(shown).toContain("process_cpu_seconds_total");
    expect(shown.match(/^# TYPE shop_rpc_duration_seconds /gm)).toHaveLength(1);
    expect(shown).toMatch(/\n# EOF\n$/);
  }
});
