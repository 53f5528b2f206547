import { create, toBinary } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { HealthCheckRequestSchema } from "@shop/gen/grpc/health/v1/health_pb";
import { createLease } from "@shop/mongo";
import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test } from "vitest";
import { ensureConsumer, eventHandler, startConsumer } from "./consumer.ts";
import { createStreamRecovery } from "./stream-recovery.ts";

// Any message will do for an event. A stream takes those of a whole package: no other test has one of this package.
const event = HealthCheckRequestSchema;
const stream = "test-topology";

async function openTopology() {
  const bus = await openTestBus();
  onTestFinished(async () => void (await bus.manager.streams.delete(stream).catch(() => {})));
  const heard: string[] = [];
  const handler = eventHandler({
    durable: newId("test"),
    stream,
    event,
    maxBatch: 10,
    handle: async (messages) => void heard.push(...messages.map(({ service }) => service)),
  });
  await ensureConsumer(bus, handler);
  const stop = await startConsumer(bus, handler, silentLog);
  onTestFinished(stop);
  const say = (message: string) =>
    bus.publish({
      id: newId("event"),
      type: event.typeName,
      payload: toBinary(event, create(event, { service: message })),
    });
  const untilHeard = (...messages: string[]) =>
    expect.poll(() => heard, { timeout: 15_000 }).toEqual(expect.arrayContaining(messages));
  const acknowledged = async () => (await bus.manager.consumers.info(stream, handler.durable)).ack_floor.stream_seq;
  return { bus, durable: handler.durable, heard, say, untilHeard, acknowledged };
}

test("a consumer that was deleted is missing, is created again and goes on after what it had acknowledged", async () => {
  const { bus, durable, heard, say, untilHeard, acknowledged } = await openTopology();
  await say("before");
  await untilHeard("before");
  await expect.poll(acknowledged).toBe(1);
  expect(await bus.topology.missing()).toEqual([]);
  await bus.manager.consumers.delete(stream, durable);
  await say("meanwhile");
  expect(await bus.topology.missing()).toEqual([`consumer ${durable} is missing`]);
  expect(await bus.topology.restore()).toEqual([`consumer ${durable} is missing`]);
  await untilHeard("meanwhile");
  // Ready only once a later look finds all of it.
  expect(await bus.topology.missing()).toEqual([`consumer ${durable} is missing`]);
  await bus.topology.restore();
  expect(await bus.topology.missing()).toEqual([]);
  expect(heard).toEqual(["before", "meanwhile"]);
}, 30_000);

test("a stream that was deleted is missing, is created again as another one, and its consumers with it", async () => {
  const { bus, say, untilHeard } = await openTopology();
  await say("before");
  await untilHeard("before");
  const created = bus.topology.createdAt(stream);
  await bus.manager.streams.delete(stream);
  expect(await bus.topology.missing()).toContain(`stream ${stream} is missing`);
  await expect(say("lost")).rejects.toThrow();
  await bus.topology.restore();
  expect(bus.topology.createdAt(stream)).not.toBe(created);
  await say("after");
  await untilHeard("after");
}, 30_000);

test("a consumer that is there with another wait for acknowledgements gets the new one", async () => {
  const { bus, durable } = await openTopology();
  const handler = eventHandler({ durable, stream, event, maxBatch: 10, handle: async () => {} });
  await ensureConsumer(await openTestBus(), handler, 7_000);
  expect((await bus.manager.consumers.info(stream, durable)).config.ack_wait).toBe(7_000_000_000);
});

test("what a stream lost is recovered once by one of many processes, before any of them is ready, and after a restart too", async () => {
  const { bus } = await openTopology();
  const db = await openTestDb();
  const times: string[] = [];
  const processOf = (name: string) =>
    createStreamRecovery({
      stream,
      db,
      bus,
      lease: createLease(db, "recover", name, 10_000),
      everyMs: 3_600_000,
      clock: () => new Date(),
      log: silentLog,
      recover: async () => void times.push(name),
    });
  const { signal } = new AbortController();
  const [one, other] = [processOf("one"), processOf("other")];
  expect(await other.notReady()).toContain(stream);
  await one.job.run(signal);
  expect([await one.notReady(), await other.notReady()]).toEqual([undefined, undefined]);
  await other.job.run(signal);
  await one.job.run(signal);
  expect(times).toEqual(["one"]);

  await bus.manager.streams.delete(stream);
  await bus.topology.restore();
  expect(await one.notReady()).toContain(stream);
  const restarted = processOf("restarted");
  await restarted.job.run(signal);
  expect([await one.notReady(), await restarted.notReady()]).toEqual([undefined, undefined]);
  expect(times).toEqual(["one", "restarted"]);
}, 30_000);
