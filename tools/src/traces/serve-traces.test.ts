import { request } from "node:http";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { serveTraces } from "./serve-traces.ts";
import { createTraceStore } from "./trace-store.ts";

const traceId = (n: number) => String(n).padStart(32, "0");
const spanId = (n: number) => String(n).padStart(16, "0");

/** A request as OTLP's JSON has it: ids in hexadecimal, 64-bit numbers as text. */
const exported = (span: object) => ({
  resourceSpans: [
    {
      resource: {
        attributes: [
          { key: "service.name", value: { stringValue: "orders" } },
          { key: "service.instance.id", value: { stringValue: "host/1" } },
        ],
      },
      scopeSpans: [
        {
          scope: { name: "shop" },
          spans: [
            {
              traceId: traceId(1),
              spanId: spanId(1),
              name: "one",
              kind: 2,
              startTimeUnixNano: "1764558000000001000",
              endTimeUnixNano: "1764558000002501000",
              attributes: [
                { key: "rpc.method", value: { stringValue: "A/B" } },
                { key: "server.port", value: { intValue: "27017" } },
              ],
              status: { code: 2 },
              ...span,
            },
          ],
        },
      ],
    },
  ],
});

async function open() {
  const server = await serveTraces(0);
  onTestFinished(() => server.close());
  const send = async (body: string | Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}) =>
    (
      await fetch(`${server.url}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body,
      })
    ).status;
  return { ...server, send };
}

test("spans arrive in OTLP's JSON, plain or compressed", async () => {
  const { url, send, store } = await open();
  expect(await send(JSON.stringify(exported({})))).toBe(200);
  const child = { spanId: spanId(2), parentSpanId: spanId(1), name: "two", kind: 5, status: {} };
  const compressed = gzipSync(JSON.stringify(exported(child))) as Uint8Array<ArrayBuffer>;
  expect(await send(compressed, { "content-encoding": "gzip" })).toBe(200);
  expect(store.find(traceId(1))?.spans).toMatchObject([
    {
      name: "one",
      kind: "server",
      service: "orders",
      instance: "host/1",
      parentSpanId: undefined,
      startMs: 1764558000000.001,
      isError: true,
      attributes: { "rpc.method": "A/B", "server.port": "27017" },
    },
    { name: "two", kind: "consumer", parentSpanId: spanId(1), isError: false },
  ]);
  expect(store.all()[0]!.durationMs).toBeCloseTo(2.5, 3);
  expect(await (await fetch(`${url}/traces`)).json()).toMatchObject([{ name: "one", spans: 2, services: ["orders"] }]);
});

test("what is not OTLP's JSON is refused", async () => {
  const { send, store } = await open();
  expect(await send("{")).toBe(400);
  expect(await send("{}")).toBe(400);
  expect(await send("x", { "content-type": "application/x-protobuf" })).toBe(415);
  expect(store.all()).toEqual([]);
});

test("a page of another site that reaches the port by a name gets nothing", async () => {
  const { url } = await open();
  const status = await new Promise((resolve, reject) => {
    request(`${url}/traces`, { headers: { host: "evil.example" } }, ({ statusCode }) => resolve(statusCode))
      .on("error", reject)
      .end();
  });
  expect(status).toBe(421);
});

test("the page has no script or style of its own, and may load none from elsewhere", async () => {
  const { url } = await open();
  const page = await fetch(url);
  expect(page.headers.get("content-security-policy")).toMatch(
    /^default-src 'none'; script-src 'self'; style-src 'self'/,
  );
  expect(await page.text()).not.toMatch(/<style|<script>| style=| on[a-z]+=/);
});

test("the oldest traces make room for new ones, and links are found from both ends", () => {
  const store = createTraceStore(2);
  for (const n of [1, 2, 3]) store.add(exported({ traceId: traceId(n), spanId: spanId(n) }));
  expect(store.list(10).map((trace) => trace.traceId)).toEqual([traceId(3), traceId(2)]);
  store.add(exported({ traceId: traceId(4), spanId: spanId(4), links: [{ traceId: traceId(3), spanId: spanId(3) }] }));
  expect(store.find(traceId(3))?.linkedBy).toMatchObject([{ from: { spanId: spanId(4) }, spanId: spanId(3) }]);
});
