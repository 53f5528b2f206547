import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Redis } from "@shop/cache";
import { inNewTrace, newId, recordTraces, SpanStatusCode } from "@shop/core";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { openTestLimits, openTestRedis, serverAt } from "../testing/index.ts";
import { createLimits, type Limiter } from "./limits.ts";

async function openLimiter(name: string, points: number, seconds = 60): Promise<Limiter> {
  return (await openTestLimits("test")).limiter({ name, points, seconds });
}

/** An established connection to a Redis that accepts commands and answers none. */
async function frozenRedis(): Promise<Redis> {
  const answers: Socket[] = [];
  const { address, through } = serverAt(inject("redisUrl"));
  const link = createServer((socket) => {
    const server = connect(address);
    answers.push(server);
    socket.pipe(server).pipe(socket);
    for (const end of [socket, server]) end.on("error", () => {});
    onTestFinished(() => {
      socket.destroy();
      server.destroy();
    });
  });
  await new Promise<void>((resolve) => link.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void link.close());
  const redis = openTestRedis(through((link.address() as AddressInfo).port));
  await vi.waitUntil(() => redis.isReady);
  for (const server of answers) server.unpipe().pause();
  return redis;
}

test("of many concurrent calls in several processes exactly the limit is allowed", async () => {
  const name = newId("limit");
  const replicas = await Promise.all([openLimiter(name, 10), openLimiter(name, 10), openLimiter(name, 10)]);
  const takers = Array.from({ length: 60 }, (_, n) => replicas[n % 3]!.take("key"));
  const allowed = (await Promise.all(takers)).filter(({ isAllowed }) => isAllowed);
  expect(allowed).toHaveLength(10);
  expect(await replicas[0]!.take("key")).toMatchObject({ isAllowed: false, left: 0 });
  expect(await replicas[0]!.take("another key")).toMatchObject({ isAllowed: true, left: 9 });
});

test("points are counted for the given time, and can be returned or reset", async () => {
  const limiter = await openLimiter(newId("limit"), 2);
  const first = await limiter.take("key");
  expect(first).toMatchObject({ isAllowed: true, count: 1, left: 1 });
  expect(first.resetMs).toBeGreaterThan(55_000);
  await limiter.take("key");
  await limiter.giveBack("key");
  expect(await limiter.count("key")).toBe(1);
  await limiter.forget("key");
  expect(await limiter.count("key")).toBe(0);
  await limiter.bar("key", 1);
  expect((await limiter.take("key")).isAllowed).toBe(false);
  await vi.waitUntil(async () => (await limiter.take("key", 1)).isAllowed, { timeout: 3_000 });
});

test("taking a point is a span of a sampled call, and a refusal is no error", async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  recordTraces({ tracer: provider.getTracer("test"), samplesNew: () => true, grantsRequest: () => false });
  onTestFinished(() => recordTraces(undefined));
  const limiter = await openLimiter(newId("limit"), 1);
  await inNewTrace("call", {}, async () => {
    await limiter.take("key");
    expect((await limiter.take("key")).isAllowed).toBe(false);
  });
  const spans = exporter.getFinishedSpans();
  const call = spans.find(({ name }) => name === "call")!;
  const taking = spans.filter(({ name }) => name.startsWith("take limit_"));
  expect(taking).toHaveLength(2);
  for (const { parentSpanContext, status } of taking) {
    expect(parentSpanContext?.spanId).toBe(call.spanContext().spanId);
    expect(status.code).toBe(SpanStatusCode.UNSET);
  }
});

test.for<readonly [string, () => Promise<Redis>]>([
  ["gone", async () => openTestRedis("redis://127.0.0.1:1")],
  ["frozen", frozenRedis],
])("with Redis %s the limit applies in each process, and no call waits for long", async ([, open]) => {
  const limiter = createLimits(await open(), "test").limiter({ name: newId("limit"), points: 3, seconds: 60 });
  const began = performance.now();
  const outcomes: boolean[] = [];
  for (let n = 0; n < 5; n++) outcomes.push((await limiter.take("key")).isAllowed);
  expect(outcomes).toEqual([true, true, true, false, false]);
  expect(await limiter.count("key")).toBe(5);
  await limiter.bar("another key", 60);
  expect((await limiter.take("another key")).isAllowed).toBe(false);
  expect(performance.now() - began).toBeLessThan(2_000);
});
