import { create, toBinary } from "@bufbuild/protobuf";
import { errors } from "@nats-io/transport-node";
import { newId } from "@shop/core";
import { HealthCheckRequestSchema } from "@shop/gen/grpc/health/v1/health_pb";
import { createLease } from "@shop/mongo";
import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test } from "vitest";
import { ensureConsumer, eventHandler, startConsumer } from "./consumer.ts";
import { createStreamRecovery } from "./stream-recovery.ts";
import { createTopology } from "./topology.ts";

// Any message can be an event. A stream has the subjects of a whole package: no other test uses this package.
const event = HealthCheckRequestSchema;
const stream = "test-topology";

async function openTopology() {
  const bus = await openTestBus();
  onTestFinished(async () => void (await bus.manager.streams.delete(stream).catch(() => {})));
  const handled: string[] = [];
  const handler = eventHandler({
    durable: newId("test"),
    stream,
    event,
    maxBatch: 10,
    handle: async (messages) => void handled.push(...messages.map(({ service }) => service)),
  });
  await ensureConsumer(bus, handler);
  const stop = await startConsumer(bus, handler, silentLog);
  onTestFinished(stop);
  const publish = (message: string) =>
    bus.publish({
      id: newId("event"),
      type: event.typeName,
      payload: toBinary(event, create(event, { service: message })),
    });
  const untilHandled = (...messages: string[]) =>
    expect.poll(() => handled, { timeout: 15_000 }).toEqual(expect.arrayContaining(messages));
  const acknowledged = async () => (await bus.manager.consumers.info(stream, handler.durable)).ack_floor.stream_seq;
  return { bus, handler, durable: handler.durable, handled, publish, untilHandled, acknowledged };
}

test("a deleted consumer is reported missing, recreated, and continues after the last acknowledged event", async () => {
  const { bus, durable, handled, publish, untilHandled, acknowledged } = await openTopology();
  await publish("before");
  await untilHandled("before");
  await expect.poll(acknowledged).toBe(1);
  expect(await bus.topology.missing()).toEqual([]);
  await bus.manager.consumers.delete(stream, durable);
  await publish("meanwhile");
  expect(await bus.topology.missing()).toEqual([`consumer ${durable} is missing`]);
  expect(await bus.topology.restore()).toEqual([`consumer ${durable} is missing`]);
  await untilHandled("meanwhile");
  // Ready only once a later check finds everything.
  expect(await bus.topology.missing()).toEqual([`consumer ${durable} is missing`]);
  await bus.topology.restore();
  expect(await bus.topology.missing()).toEqual([]);
  expect(handled).toEqual(["before", "meanwhile"]);
}, 30_000);

test("a deleted stream is reported missing, and recreated as a new one with its consumers", async () => {
  const { bus, publish, untilHandled } = await openTopology();
  await publish("before");
  await untilHandled("before");
  const created = bus.topology.createdAt(stream);
  await bus.manager.streams.delete(stream);
  expect(await bus.topology.missing()).toContain(`stream ${stream} is missing`);
  await expect(publish("lost")).rejects.toThrow();
  await bus.topology.restore();
  expect(bus.topology.createdAt(stream)).not.toBe(created);
  await publish("after");
  await untilHandled("after");
}, 30_000);

test("a recreated consumer starts with the first event of a stream that another process created again during a check", async () => {
  const { bus, handler, durable, publish, untilHandled, acknowledged } = await openTopology();
  const another = await openTestBus();
  let beforeAnswer = async () => {};
  const streams = Object.create(bus.manager.streams, {
    info: {
      async value(name: string) {
        await beforeAnswer();
        return await bus.manager.streams.info(name);
      },
    },
  });
  const topology = createTopology({ streams, consumers: bus.manager.consumers });
  await topology.ensureStream(stream, {}, false);
  await ensureConsumer({ ...bus, topology }, handler);
  await publish("before");
  await untilHandled("before");
  await expect.poll(acknowledged).toBe(1);
  await topology.restore();

  beforeAnswer = async () => {
    beforeAnswer = async () => {};
    await bus.manager.streams.delete(stream);
    await another.ensureStreamOfAnother(stream, [`${event.file.proto.package}.>`]);
    await publish("recovered");
    throw new errors.TimeoutError();
  };
  expect(await topology.restore()).toEqual([`consumer ${durable} is missing`]);
  await untilHandled("recovered");
}, 30_000);

test("an existing consumer with another ack wait is updated", async () => {
  const { bus, durable } = await openTopology();
  const handler = eventHandler({ durable, stream, event, maxBatch: 10, handle: async () => {} });
  await ensureConsumer(await openTestBus(), handler, 7_000);
  expect((await bus.manager.consumers.info(stream, durable)).config.ack_wait).toBe(7_000_000_000);
});

test("events lost with a stream are recovered once by one of several processes, before any of them is ready, and also after a restart", async () => {
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
