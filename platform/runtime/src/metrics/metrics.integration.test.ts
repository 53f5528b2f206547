import { createServer } from "node:net";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { type GaugeSource, newId } from "@shop/core";
import { CustomHttpPatternSchema } from "@shop/gen/google/api/http_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { portOf } from "@shop/http-port";
import {
  busGauges,
  createOutbox,
  createOutboxUpkeep,
  deadLetterStream,
  ensureOutboxIndex,
  eventHandler,
  type OutboxUpkeep,
  outboxGauges,
  type WithOutbox,
} from "@shop/messaging";
import { measuringInterceptor } from "@shop/rpc-server";
import { Binary } from "mongodb";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineModule } from "../service-module.ts";
import { absentBus, openTestBus, openTestDb, silentLog } from "../testing/index.ts";
import { startTestModule } from "../testing/start-test-module.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { serveMetrics } from "./metrics-server.ts";

async function scrape(metrics: Metrics) {
  const server = await serveMetrics(metrics, "127.0.0.1", 0, silentLog);
  onTestFinished(() => server.close());
  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  return await response.text();
}

async function openOutbox() {
  const [db, bus] = [await openTestDb(), await openTestBus()];
  const collection = db.collection<WithOutbox>("things");
  await ensureOutboxIndex(collection);
  const event = (ageMs: number) => ({
    id: newId("event"),
    type: "x",
    payload: new Binary(new Uint8Array()),
    time: new Date(Date.now() - ageMs),
  });
  return { bus, collection, event, upkeep: createOutboxUpkeep(collection, createOutbox(collection, bus, silentLog)) };
}

const things: GaugeSource = {
  dependency: "nats",
  read: async () => [
    { gauge: { name: "shop_things", help: "Things", labelNames: ["kind"] }, labels: { kind: "a" }, value: 3 },
  ],
};

test("an outbox reports the number of pending events and the age of the oldest", async () => {
  const { collection, event, upkeep } = await openOutbox();
  const metrics = createMetrics(silentLog);
  metrics.add(outboxGauges("test", upkeep));
  expect(await scrape(metrics)).toContain('shop_outbox_oldest_pending_age_seconds{service="test"} 0');
  await collection.insertMany([
    { _id: "a", outbox: [event(90_000), event(1_000)] },
    { _id: "b", outbox: [event(1_000)] },
    { _id: "c", outbox: [] },
  ]);
  const later = createMetrics(silentLog);
  later.add(outboxGauges("test", upkeep));
  const text = await scrape(later);
  expect(text).toContain('shop_outbox_pending_events{service="test"} 3');
  expect(Number(/oldest_pending_age_seconds\{service="test"\} (.*)/.exec(text)?.[1])).toBeGreaterThanOrEqual(90);
  expect(text).toContain('shop_dependency_up{dependency="mongodb"} 1');
});

test("while a dependency is down or hangs its gauges are absent, the others are present, and the answer is in time", async () => {
  const bus = await openTestBus();
  for (const down of [
    busGauges(absentBus(bus), []),
    { ...things, dependency: "mongodb", read: () => new Promise<never>(() => {}) } as const,
  ]) {
    const metrics = createMetrics(silentLog);
    metrics.add({ ...things, dependency: down.dependency === "nats" ? "mongodb" : "nats" });
    metrics.add(down);
    const startedAt = performance.now();
    const text = await scrape(metrics);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(text).toContain(`shop_dependency_up{dependency="${down.dependency}"} 0`);
    expect(text).toContain('shop_things{kind="a"} 3');
    expect(text).not.toContain("shop_dead_letters{");
  }
});

test("a gauge that can no longer be read is removed", async () => {
  let isAvailable = true;
  const metrics = createMetrics(silentLog, { keepMs: 0 });
  metrics.add({ ...things, read: async () => (isAvailable ? await things.read() : Promise.reject(new Error("gone"))) });
  expect(await scrape(metrics)).toContain('shop_things{kind="a"} 3');
  isAvailable = false;
  expect(await scrape(metrics)).not.toContain("shop_things{");
});

test("a dependency is read at most once per interval, however often metrics are scraped", async () => {
  let asked = 0;
  const metrics = createMetrics(silentLog);
  metrics.add({
    ...things,
    async read() {
      asked++;
      return await things.read();
    },
  });
  await Promise.all(Array.from({ length: 20 }, () => scrape(metrics)));
  expect(asked).toBe(1);
});

test("calls are counted and timed by method and code", async () => {
  const metrics = createMetrics(silentLog);
  let isAvailable = true;
  const keys = createClient(
    TokenKeyService,
    createRouterTransport(
      (router) =>
        router.service(TokenKeyService, {
          listTokenKeys() {
            if (isAvailable) return {};
            throw new ConnectError("gone", Code.NotFound);
          },
        }),
      { router: { interceptors: [measuringInterceptor(metrics)] } },
    ),
  );
  await keys.listTokenKeys({});
  await keys.listTokenKeys({});
  isAvailable = false;
  await keys.listTokenKeys({}).catch(() => {});
  const text = await scrape(metrics);
  const method = "shop.common.v1.TokenKeyService/ListTokenKeys";
  const count = "shop_rpc_duration_seconds_count";
  expect(text).toContain(`${count}{port="internal",method="${method}",code="ok"} 2`);
  expect(text).toContain(`${count}{port="internal",method="${method}",code="not_found"} 1`);
});

test("calls at the public port are counted apart from the others", async () => {
  const metrics = createMetrics(silentLog);
  metrics.publicPort.called("a.Service/Call", "ok", 0.02);
  metrics.called("a.Service/Call", "ok", 0.01);
  const text = await scrape(metrics);
  for (const port of ["public", "internal"])
    expect(text).toContain(`shop_rpc_duration_seconds_count{port="${port}",method="a.Service/Call",code="ok"} 1`);
});

test("a process reports its consumers and their dead letters, on a separate port", async () => {
  const durable = newId("test");
  const stuckOutbox: Pick<OutboxUpkeep, "lag"> = { lag: async () => ({ pending: 2, since: undefined }) };
  const freePort = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, () => {
      const port = portOf(server as never);
      server.close(() => resolve(port));
    });
  });
  const module = defineModule({
    name: newId("metrics"),
    config: z.object({}),
    implements: [TokenKeyService],
    port: () => 0,
    upstreams: () => [],
    start: async () => ({
      routes: (router) =>
        router.service(TokenKeyService, {
          listTokenKeys: () => ({ keys: [] }),
        }),
      gauges: [outboxGauges("test", stuckOutbox)],
      handlers: [
        eventHandler({
          durable,
          stream: "test-metrics",
          event: CustomHttpPatternSchema,
          maxBatch: 1,
          handle: async () => {},
        }),
      ],
    }),
  });
  const bus = await openTestBus();
  onTestFinished(async () => void (await bus.manager.streams.delete("test-metrics")));
  await startTestModule(module, { METRICS_PORT: String(freePort) });
  await bus.send(`${deadLetterStream}.${durable}`, { id: newId("letter"), headers: {}, payload: new Uint8Array() });
  const response = await fetch(`http://127.0.0.1:${freePort}/metrics`);
  const text = await response.text();
  for (const line of [
    `shop_consumer_pending_messages{consumer="${durable}"} 0`,
    `shop_consumer_unacknowledged_messages{consumer="${durable}"} 0`,
    `shop_consumer_redelivered_messages{consumer="${durable}"} 0`,
    `shop_dead_letters{consumer="${durable}"} 1`,
    'shop_outbox_pending_events{service="test"} 2',
    'shop_dependency_up{dependency="nats"} 1',
    "process_cpu_seconds_total",
    "nodejs_eventloop_lag_seconds",
  ]) {
    expect(text).toContain(line);
  }
});
