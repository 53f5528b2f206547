import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, onTestFinished, test } from "vitest";
import { DomainError } from "../errors.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { silentLog } from "../testing/index.ts";
import { createAddressSeal } from "./client-address.ts";
import { createRouterOptions } from "./router-options.ts";
import { listen } from "./server.ts";

async function start() {
  const busy = new DomainError("resource_exhausted", "BUSY", "too much just now", { retryAfterMs: 1_500 });
  let reached = 0;
  const authorize = async () => {
    reached++;
    return { kind: "service", name: "test" } as const;
  };
  const metrics = createMetrics(silentLog);
  const routes = (router: ConnectRouter) => void router.service(DeadLetterService, { listDeadLetters: () => ({}) });
  const server = await listen({
    name: "test",
    host: "127.0.0.1",
    port: 0,
    services: [DeadLetterService],
    corsOrigins: ["http://shop.example"],
    isPublic: true,
    trustsProxy: () => false,
    addressSeal: createAddressSeal("a secret of this test, long enough"),
    hosted: () => routes,
    refusal: (method) => (method === DeadLetterService.method.redriveDeadLetter ? busy : undefined),
    metrics,
    neighbours: [],
    foreignNeighbours: false,
    reflection: true,
    routerOptions: createRouterOptions(authorize, silentLog, metrics),
    authorize,
    missing: async () => [],
    stopping: new AbortController().signal,
    log: silentLog,
  });
  onTestFinished(() => server.close());
  return { url: `http://127.0.0.1:${server.port}`, metrics, reached: () => reached };
}

const transports = {
  Connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
} as const;

test.each(Object.entries(transports))(
  "a call that is refused before it is read says so in %s, time and again, and reaches nobody",
  async (_protocol, open) => {
    const { url, reached } = await start();
    const client = createClient(DeadLetterService, open(url));
    for (let call = 0; call < 3; call++) {
      const error = ConnectError.from(await client.redriveDeadLetter({ deadLetterId: "1" }).catch((thrown) => thrown));
      expect(error.code).toBe(Code.ResourceExhausted);
      expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({ reason: "BUSY", domain: "shop.common.v1" });
      expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
    }
    expect(reached()).toBe(0);
    await client.listDeadLetters({});
    expect(reached()).toBe(1);
  },
);

test("a call that is refused before it is read says so over REST, also to a browser", async () => {
  const { url, reached } = await start();
  for (let call = 0; call < 3; call++) {
    const answer = await fetch(`${url}/admin/dead-letters/1:redrive`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: "http://shop.example" },
      body: "{ not read",
    });
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(answer.headers.get("access-control-allow-origin")).toBe("http://shop.example");
    expect(await answer.json()).toMatchObject({ code: 8, message: "too much just now" });
  }
  expect(reached()).toBe(0);
});

test("a browser that asks first whether it may call is answered, though the call would be refused", async () => {
  const { url } = await start();
  for (const path of ["/admin/dead-letters/1:redrive", "/shop.common.v1.DeadLetterService/RedriveDeadLetter"]) {
    const answer = await fetch(`${url}${path}`, {
      method: "OPTIONS",
      headers: { origin: "http://shop.example", "access-control-request-method": "POST" },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-origin")).toBe("http://shop.example");
  }
});

test("calls that are refused before they are read are counted", async () => {
  const { url, metrics } = await start();
  for (let call = 0; call < 3; call++) await fetch(`${url}/admin/dead-letters/1:redrive`, { method: "POST" });
  expect(await metrics.text()).toContain(
    'shop_rpc_duration_seconds_count{method="shop.common.v1.DeadLetterService/RedriveDeadLetter",code="resource_exhausted"} 3',
  );
});
