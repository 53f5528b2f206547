import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { DomainError } from "@shop/core";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { createMetrics } from "@shop/runtime";
import { silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { createRouterOptions } from "./pipeline/router-options.ts";
import { openTestPort, testRules } from "./testing/test-port.ts";

async function start() {
  const busy = new DomainError("resource_exhausted", "BUSY", "too much just now", { retryAfterMs: 1_500 });
  let reached = 0;
  const authorize = async () => {
    reached++;
    return { kind: "service", name: "test" } as const;
  };
  const metrics = createMetrics(silentLog);
  const routes = (router: ConnectRouter) => void router.service(DeadLetterService, { listDeadLetters: () => ({}) });
  const { port } = await openTestPort({
    corsOrigins: ["http://shop.example"],
    hosted: () => routes,
    refusal: (method) => (method === DeadLetterService.method.redriveDeadLetter ? busy : undefined),
    metrics,
    routerOptions: createRouterOptions(testRules(authorize, metrics)),
    authorize,
  });
  return { url: `http://127.0.0.1:${port}`, metrics, reached: () => reached };
}

const transports = {
  Connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
} as const;

test.each(Object.entries(transports))(
  "a call shed before it is read gets the error in %s, every time, and reaches neither authorization nor method",
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

test("a call shed before it is read gets the error over REST, also cross-origin", async () => {
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

test("a preflight is answered, though the call would be shed", async () => {
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

test("a refusal is delayed, so that immediate retries are bounded, and the client may leave before it", async () => {
  const { url } = await start();
  const path = `${url}/admin/dead-letters/1:redrive`;
  const askedAt = performance.now();
  await fetch(path, { method: "POST" });
  expect(performance.now() - askedAt).toBeGreaterThan(150);

  await expect(fetch(path, { method: "POST", signal: AbortSignal.timeout(50) })).rejects.toThrow("timeout");
  const overHttp2 = createClient(DeadLetterService, transports.gRPC(url));
  const left = overHttp2.redriveDeadLetter({ deadLetterId: "1" }, { signal: AbortSignal.timeout(50) });
  await expect(left).rejects.toMatchObject({ code: Code.Canceled });
  await expect(overHttp2.redriveDeadLetter({ deadLetterId: "1" })).rejects.toMatchObject({
    code: Code.ResourceExhausted,
  });
});

test("shed calls are counted", async () => {
  const { url, metrics } = await start();
  for (let call = 0; call < 3; call++) await fetch(`${url}/admin/dead-letters/1:redrive`, { method: "POST" });
  expect(await metrics.text()).toContain(
    'shop_rpc_duration_seconds_count{port="internal",method="shop.common.v1.DeadLetterService/RedriveDeadLetter",code="resource_exhausted"} 3',
  );
});

test.each(Object.entries(transports))(
  "a call whose caller cannot be authorized at the moment is counted in %s",
  async (_protocol, open) => {
    const authorize = async () => {
      throw new DomainError("unavailable", "NO_KEYS", "access tokens can't be verified at the moment");
    };
    const metrics = createMetrics(silentLog);
    const { port } = await openTestPort({
      hosted: () => (router) => void router.service(DeadLetterService, { listDeadLetters: () => ({}) }),
      metrics,
      routerOptions: createRouterOptions(testRules(authorize, metrics)),
      authorize,
    });
    const client = createClient(DeadLetterService, open(`http://127.0.0.1:${port}`));
    await expect(client.listDeadLetters({})).rejects.toMatchObject({ code: Code.Unavailable });
    expect(await metrics.text()).toContain(
      'shop_rpc_duration_seconds_count{port="internal",method="shop.common.v1.DeadLetterService/ListDeadLetters",code="unavailable"} 1',
    );
  },
);
