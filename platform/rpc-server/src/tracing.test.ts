import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { DomainError, recordTraces, SpanKind, SpanStatusCode } from "@shop/core";
import { DeadLetterService, GetDeadLetterResponseSchema } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { deepFreeze } from "@shop/rest";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { forwarding, openTestPort } from "./testing/test-port.ts";

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });

beforeEach(() => {
  exporter.reset();
  recordTraces({ tracer: provider.getTracer("test"), samplesNew: () => true, grantsRequest: () => false });
});
afterEach(() => recordTraces(undefined));

const method = "shop.common.v1.DeadLetterService/GetDeadLetter";
/** Spans end when their exchange closes, which the client does not wait for. */
const spansOnce = async (count: number) =>
  await vi.waitFor(() => {
    const spans = exporter.getFinishedSpans();
    expect(spans).toHaveLength(count);
    return spans;
  });

const transports: readonly [string, string, (baseUrl: string) => Transport][] = [
  ["Connect", "connectrpc", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/2", "connectrpc", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["gRPC", "grpc", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", "grpc", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
];
const paths = [
  ["on the fast path", { fastPath: true }],
  ["by the fallback", { fastPath: false }],
] as const;

const service = (deadLetterId: string) => {
  if (deadLetterId === "2") throw new ConnectError("no", Code.NotFound);
  if (deadLetterId === "3") throw new ConnectError("no", Code.Unavailable);
  return { deadLetter: { deadLetterId } };
};
const hosted = {
  hosted: () => (router: ConnectRouter) =>
    router.service(DeadLetterService, { getDeadLetter: async (request) => service(request.deadLetterId) }),
};

const inEachWay = transports.flatMap(([protocol, system, transportTo]) =>
  paths.map(([way, path]) => [protocol, way, system, transportTo, path] as const),
);

test.for(inEachWay)("a call over %s has a server span, %s", async ([, , system, transportTo, path]) => {
  const { port } = await openTestPort({ ...hosted, ...path });
  const client = createClient(DeadLetterService, transportTo(`http://127.0.0.1:${port}`));
  for (const deadLetterId of ["1", "2", "3"]) await client.getDeadLetter({ deadLetterId }).catch(() => {});
  const spans = await spansOnce(3);
  for (const span of spans) {
    expect(span).toMatchObject({ name: method, kind: SpanKind.SERVER });
    expect(span.attributes).toMatchObject({ "rpc.system.name": system, "rpc.method": method });
  }
  expect(spans.map(({ attributes, status }) => [attributes["rpc.status_code"], status.code])).toEqual([
    ["ok", SpanStatusCode.UNSET],
    ["not_found", SpanStatusCode.UNSET],
    ["unavailable", SpanStatusCode.ERROR],
  ]);
});

test("a REST call has a server span with its route, not its path", async () => {
  const { port } = await openTestPort(hosted);
  await (await fetch(`http://127.0.0.1:${port}/admin/dead-letters/17`)).text();
  const [span] = await spansOnce(1);
  expect(span!.attributes).toMatchObject({
    "rpc.system.name": "rest",
    "http.request.method": "GET",
    "http.route": "/admin/dead-letters/{dead_letter_id}",
    "http.response.status_code": 200,
    "rpc.status_code": "ok",
  });
  expect(JSON.stringify(span!.attributes)).not.toContain("17");
});

test("a cached answer, a refused call and a shed call have a server span", async () => {
  const cached = deepFreeze(create(GetDeadLetterResponseSchema, { deadLetter: { deadLetterId: "1" } }));
  const ports = [
    await openTestPort({ ...hosted, findCachedAnswer: () => cached }),
    await openTestPort({
      ...hosted,
      routerOptions: {
        async requestGate() {
          throw new ConnectError("who are you?", Code.Unauthenticated);
        },
        interceptors: [],
        readMaxBytes: 1_024,
      },
    }),
    await openTestPort({ ...hosted, refusal: () => new DomainError("resource_exhausted", "BUSY", "busy") }),
  ];
  for (const [index, status] of [200, 401, 429].entries()) {
    exporter.reset();
    await (await fetch(`http://127.0.0.1:${ports[index]!.port}/admin/dead-letters/1`)).text();
    const [span] = await spansOnce(1);
    expect(span!.attributes["http.response.status_code"]).toBe(status);
  }
});

test.for(transports)("a call forwarded over %s is one trace of two processes", async ([, , transportTo]) => {
  const upstream = await openTestPort({ ...hosted, isPublic: false });
  const { port } = await openTestPort(forwarding(`http://127.0.0.1:${upstream.port}`));
  const client = createClient(DeadLetterService, transportTo(`http://127.0.0.1:${port}`));
  await client.getDeadLetter({ deadLetterId: "1" });
  const spans = await spansOnce(3);
  const forwarded = spans.find(({ kind }) => kind === SpanKind.CLIENT)!;
  const first = spans.find(({ parentSpanContext }) => parentSpanContext === undefined)!;
  const last = spans.find((span) => span !== forwarded && span !== first)!;
  expect([first.kind, last.kind]).toEqual([SpanKind.SERVER, SpanKind.SERVER]);
  expect(forwarded.parentSpanContext?.spanId).toBe(first.spanContext().spanId);
  expect(last.parentSpanContext?.spanId).toBe(forwarded.spanContext().spanId);
  for (const { attributes } of spans) expect(attributes["rpc.status_code"]).toBe("ok");
});
