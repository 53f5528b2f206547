import { create, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { DomainError, newId, recordTraces, type TraceFields } from "@shop/core";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test } from "vitest";
import { pendingEvent } from "../outbox/pending-event.ts";
import { type EventHandler, ensureConsumer, eventHandler, startConsumer } from "./consumer.ts";
import { deadLetterStream, ensureDeadLetters } from "./dead-letters.ts";

// Any message can be an event; no service publishes this one. The stream is this file's, one test at a time.
const stream = "test-consumer";
type TestEvent = MessageShape<typeof ErrorInfoSchema>;

async function openConsumer(
  handle: (reasons: readonly string[]) => Promise<void>,
  { maxBatch = 10, lease }: { maxBatch?: number; lease?: EventHandler["lease"] } = {},
) {
  const bus = await openTestBus();
  const handler = eventHandler({
    durable: newId("test"),
    stream,
    event: ErrorInfoSchema,
    maxBatch,
    ...(lease && { lease }),
    handle: (events: readonly TestEvent[]) => handle(events.map((event) => event.reason)),
  });
  await ensureDeadLetters(bus);
  await ensureConsumer(bus, handler);
  onTestFinished(async () => void (await bus.manager.streams.delete(stream)));
  const publish = (reason: string, id = newId("event"), trace: TraceFields = {}) =>
    bus.publish({
      ...trace,
      id,
      type: ErrorInfoSchema.typeName,
      payload: toBinary(ErrorInfoSchema, create(ErrorInfoSchema, { reason })),
    });
  const start = async () => {
    const stop = await startConsumer(bus, handler, silentLog);
    onTestFinished(stop);
    return stop;
  };
  const unacknowledged = async () => {
    // Not the counts of pending messages: they are updated shortly after the stream has stored a message.
    const { state } = await bus.manager.streams.info(stream);
    const info = await bus.manager.consumers.info(stream, handler.durable);
    return state.last_seq - info.ack_floor.stream_seq;
  };
  return { bus, handler, publish, start, unacknowledged };
}

test("events published before the consumer started are handled, in batches, and acknowledged afterwards", async () => {
  const batches: (readonly string[])[] = [];
  const { publish, start, unacknowledged } = await openConsumer(async (reasons) => void batches.push(reasons), {
    maxBatch: 4,
  });
  for (let index = 0; index < 20; index++) await publish(`${index}`);
  await start();
  await expect.poll(unacknowledged).toBe(0);
  expect(batches.flat().map(Number)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(Math.max(...batches.map((batch) => batch.length))).toBe(4);
});

test("an event whose handling fails once is handled again", async () => {
  const tries: string[] = [];
  const { publish, start, unacknowledged } = await openConsumer(async ([reasons]) => {
    tries.push(reasons!);
    if (tries.length === 1) throw new Error("the first time");
  });
  await start();
  await publish("again");
  await expect.poll(() => tries, { timeout: 5_000 }).toEqual(["again", "again"]);
  await expect.poll(unacknowledged).toBe(0);
});

test("an event that never succeeds becomes a dead letter with its reason, and does not delay others", async () => {
  const handled = new Set<string>();
  const { bus, handler, publish, start, unacknowledged } = await openConsumer(async (reasons) => {
    if (reasons.includes("poison")) throw new Error("can't be handled");
    for (const reason of reasons) handled.add(reason);
  });
  for (const reason of ["before", "poison", "after"]) await publish(reason, `${handler.durable}/${reason}`);
  await start();
  await expect.poll(() => [...handled].sort()).toEqual(["after", "before"]);
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);

  const letter = await bus.manager.streams.getMessage(deadLetterStream, {
    last_by_subj: `${deadLetterStream}.${handler.durable}`,
  });
  expect(letter!.header.get("Dead-Letter-Reason")).toBe("Error: can't be handled");
  expect(letter!.header.get("Dead-Letter-Event-Id")).toBe(`${handler.durable}/poison`);
  expect(letter!.header.get("Dead-Letter-Subject")).toBe(ErrorInfoSchema.typeName);
}, 30_000);

test("of events in one message only the failing one becomes a dead letter, and the others are handled", async () => {
  const done = new Set<string>();
  const { bus, handler, publish, start, unacknowledged } = await openConsumer(async (reasons) => {
    if (reasons.includes("poison")) throw new Error("can't be handled");
    for (const reason of reasons) done.add(reason);
  });
  const poisonId = newId("event");
  await Promise.all([publish("before"), publish("poison", poisonId), publish("after")]);
  expect((await bus.manager.streams.info(stream)).state.messages).toBe(1);
  await start();
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);
  expect([...done].sort()).toEqual(["after", "before"]);
  const letter = await bus.manager.streams.getMessage(deadLetterStream, {
    last_by_subj: `${deadLetterStream}.${handler.durable}`,
  });
  expect(letter!.header.get("Dead-Letter-Event-Id")).toBe(poisonId);
  expect(fromBinary(ErrorInfoSchema, letter!.data).reason).toBe("poison");
}, 30_000);

test("a message that does not decode becomes a dead letter", async () => {
  const { bus, handler, start, unacknowledged } = await openConsumer(async () => {});
  await bus.publish({ id: newId("event"), type: ErrorInfoSchema.typeName, payload: new Uint8Array([0xff, 0xff]) });
  await start();
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);
  await bus.manager.streams.getMessage(deadLetterStream, { last_by_subj: `${deadLetterStream}.${handler.durable}` });
}, 30_000);

test("while a dependency is lost an event is retried without limit, and never becomes a dead letter", async () => {
  let attempts = 0;
  const { publish, start, unacknowledged } = await openConsumer(async () => {
    attempts++;
    if (attempts < 7) throw new DomainError("unavailable", "TEST", "down");
  });
  await start();
  await publish("patience");
  await expect.poll(unacknowledged, { timeout: 30_000 }).toBe(0);
  expect(attempts).toBe(7);
}, 40_000);

test("events that a process can't handle for lack of a dependency are handled by another one", async () => {
  const handled: string[] = [];
  const { bus, handler, publish, start, unacknowledged } = await openConsumer(async () => {
    throw new DomainError("unavailable", "TEST", "this process is cut off");
  });
  const all = Array.from({ length: 20 }, (_, index) => `${index}`);
  for (const reason of all) await publish(reason);
  await start();
  await expect
    .poll(async () => (await bus.manager.consumers.info(stream, handler.durable)).num_pending, { timeout: 5_000 })
    .toBe(0);
  const healthy: EventHandler = {
    ...handler,
    handle: async (events) => void handled.push(...(events as TestEvent[]).map((event) => event.reason)),
  };
  onTestFinished(await startConsumer(bus, healthy, silentLog));
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);
  expect(new Set(handled)).toEqual(new Set(all));
}, 30_000);

test("stopping waits for the current batch, and the next process handles the rest", async () => {
  const done: string[] = [];
  let release = () => {};
  let entered = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const inHand = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const { publish, start, unacknowledged } = await openConsumer(
    async (reasons) => {
      entered();
      await held;
      done.push(...reasons);
    },
    { maxBatch: 1 },
  );
  for (const reason of ["one", "two", "three"]) await publish(reason);
  const stop = await start();
  await inHand;
  const stopped = stop();
  release();
  await stopped;
  const doneWhenStopped = [...done];
  expect(doneWhenStopped).toContain("one");
  await start();
  await expect.poll(unacknowledged, { timeout: 15_000 }).toBe(0);
  expect([...done].sort()).toEqual(["one", "three", "two"]);
});

test("of consumers that share a lease only its holder consumes, and the next one does once it has the lease", async () => {
  let holder = "first";
  const handled: string[] = [];
  const leaseOf = (name: string) => ({ acquire: async () => holder === name, release: async () => {} });
  const { bus, handler, publish, start } = await openConsumer(
    async (reasons) => void handled.push(`first ${reasons}`),
    {
      lease: leaseOf("first"),
    },
  );
  const next: EventHandler = { ...handler, lease: leaseOf("next"), handle: async () => void handled.push("next") };
  await start();
  onTestFinished(await startConsumer(bus, next, silentLog));
  for (const reason of ["1", "2", "3"]) {
    await publish(reason);
    await expect.poll(() => handled).toContain(`first ${reason}`);
  }
  expect(handled).not.toContain("next");

  holder = "next";
  await expect
    .poll(
      async () => {
        handled.length = 0;
        await publish("4");
        await expect.poll(() => handled.length, { timeout: 2_000 }).toBe(1);
        return handled;
      },
      { timeout: 15_000 },
    )
    .toEqual(["next"]);
}, 30_000);

test("a batch has a trace of its own with a link for each sampled event, and an event that follows from one stays in its trace", async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  recordTraces({ tracer: provider.getTracer("test"), samplesNew: () => false, grantsRequest: () => false });
  onTestFinished(() => recordTraces(undefined));
  const following: string[] = [];
  const { publish, start, unacknowledged } = await openConsumer(async (reasons) => {
    for (const aggregateId of reasons) {
      const about = { service: "test", aggregateId, version: 2, time: new Date() };
      following.push(pendingEvent(ErrorInfoSchema, {}, about).traceparent!.slice(3, 35));
    }
  });
  const traceIds = ["a", "b", "c"].map((digit) => digit.repeat(32));
  const [first, second, unsampled] = traceIds.map((traceId, index) => ({
    traceparent: `00-${traceId}-${"d".repeat(16)}-0${index < 2 ? 1 : 0}`,
    tracestate: "vendor=1",
  }));
  await publish("one", "test/Placed/one/1/0", first);
  await publish("two", "test/Placed/two/1/0", second);
  await publish("three", "test/Placed/three/1/0", unsampled);
  await start();
  await expect.poll(unacknowledged).toBe(0);

  const name = `process ${ErrorInfoSchema.typeName}`;
  const processed = exporter.getFinishedSpans().filter((span) => span.name === name);
  const batch = processed.find(({ parentSpanContext }) => parentSpanContext === undefined)!;
  const sent = exporter.getFinishedSpans().filter((span) => span.name === `send ${ErrorInfoSchema.typeName}`);
  expect(batch.attributes["messaging.batch.message_count"]).toBe(3);
  expect(batch.links.map(({ context }) => context.spanId)).toEqual(sent.map((span) => span.spanContext().spanId));
  expect(batch.links.map(({ context }) => context.traceId)).toEqual(traceIds.slice(0, 2));
  expect(batch.links.map(({ context }) => context.traceState?.serialize())).toEqual(["vendor=1", "vendor=1"]);
  expect(following).toEqual([...traceIds.slice(0, 2), batch.spanContext().traceId]);
});
