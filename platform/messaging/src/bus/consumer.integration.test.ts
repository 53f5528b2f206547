import { create, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { DomainError, newId } from "@shop/core";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test } from "vitest";
import { type EventHandler, ensureConsumer, eventHandler, startConsumer } from "./consumer.ts";
import { deadLetterStream, ensureDeadLetters } from "./dead-letters.ts";

// Any message will do for an event; this one belongs to nobody here. The stream is this file's, one test at a time.
const stream = "test-consumer";
type Said = MessageShape<typeof ErrorInfoSchema>;

async function hear(
  handle: (said: readonly string[]) => Promise<void>,
  { maxBatch = 10, lease }: { maxBatch?: number; lease?: EventHandler["lease"] } = {},
) {
  const bus = await openTestBus();
  const handler = eventHandler({
    durable: newId("test"),
    stream,
    event: ErrorInfoSchema,
    maxBatch,
    ...(lease && { lease }),
    handle: (events: readonly Said[]) => handle(events.map((event) => event.reason)),
  });
  await ensureDeadLetters(bus);
  await ensureConsumer(bus, handler);
  onTestFinished(async () => void (await bus.manager.streams.delete(stream)));
  const say = (reason: string, id = newId("event")) =>
    bus.publish({
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
    // Not the counts of what is pending: they follow a moment after the stream has stored a message.
    const { state } = await bus.manager.streams.info(stream);
    const info = await bus.manager.consumers.info(stream, handler.durable);
    return state.last_seq - info.ack_floor.stream_seq;
  };
  return { bus, handler, say, start, unacknowledged };
}

test("what was said before the consumer started is heard, in batches, and acknowledged once it is done", async () => {
  const batches: (readonly string[])[] = [];
  const { say, start, unacknowledged } = await hear(async (said) => void batches.push(said), { maxBatch: 4 });
  for (let index = 0; index < 20; index++) await say(`${index}`);
  await start();
  await expect.poll(unacknowledged).toBe(0);
  expect(batches.flat().map(Number)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(Math.max(...batches.map((batch) => batch.length))).toBe(4);
});

test("an event whose handling fails once is handled again", async () => {
  const tries: string[] = [];
  const { say, start, unacknowledged } = await hear(async ([said]) => {
    tries.push(said!);
    if (tries.length === 1) throw new Error("the first time");
  });
  await start();
  await say("again");
  await expect.poll(() => tries, { timeout: 5_000 }).toEqual(["again", "again"]);
  await expect.poll(unacknowledged).toBe(0);
});

test("an event that never succeeds ends in the dead letters with its reason, and holds up nobody", async () => {
  const heard = new Set<string>();
  const { bus, handler, say, start, unacknowledged } = await hear(async (said) => {
    if (said.includes("poison")) throw new Error("can't be swallowed");
    for (const reason of said) heard.add(reason);
  });
  for (const reason of ["before", "poison", "after"]) await say(reason, `${handler.durable}/${reason}`);
  await start();
  await expect.poll(() => [...heard].sort()).toEqual(["after", "before"]);
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);

  const letter = await bus.manager.streams.getMessage(deadLetterStream, {
    last_by_subj: `${deadLetterStream}.${handler.durable}`,
  });
  expect(letter!.header.get("Dead-Letter-Reason")).toBe("Error: can't be swallowed");
  expect(letter!.header.get("Dead-Letter-Event-Id")).toBe(`${handler.durable}/poison`);
  expect(letter!.header.get("Dead-Letter-Subject")).toBe(ErrorInfoSchema.typeName);
}, 30_000);

test("of events that travelled together only the bad one is set aside, and each of the others is handled", async () => {
  const done = new Set<string>();
  const { bus, handler, say, start, unacknowledged } = await hear(async (said) => {
    if (said.includes("poison")) throw new Error("can't be swallowed");
    for (const reason of said) done.add(reason);
  });
  const poisonId = newId("event");
  await Promise.all([say("before"), say("poison", poisonId), say("after")]);
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

test("bytes that are no message end in the dead letters", async () => {
  const { bus, handler, start, unacknowledged } = await hear(async () => {});
  await bus.publish({ id: newId("event"), type: ErrorInfoSchema.typeName, payload: new Uint8Array([0xff, 0xff]) });
  await start();
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);
  await bus.manager.streams.getMessage(deadLetterStream, { last_by_subj: `${deadLetterStream}.${handler.durable}` });
}, 30_000);

test("while a dependency is lost an event waits, however often, and is never set aside", async () => {
  let attempts = 0;
  const { say, start, unacknowledged } = await hear(async () => {
    attempts++;
    if (attempts < 7) throw new DomainError("unavailable", "TEST", "down");
  });
  await start();
  await say("patience");
  await expect.poll(unacknowledged, { timeout: 30_000 }).toBe(0);
  expect(attempts).toBe(7);
}, 40_000);

test("what a process can't handle, because it lost what it needs, is handled by another one", async () => {
  const handled: string[] = [];
  const { bus, handler, say, start, unacknowledged } = await hear(async () => {
    throw new DomainError("unavailable", "TEST", "this process is cut off");
  });
  const all = Array.from({ length: 20 }, (_, index) => `${index}`);
  for (const reason of all) await say(reason);
  await start();
  await expect
    .poll(async () => (await bus.manager.consumers.info(stream, handler.durable)).num_pending, { timeout: 5_000 })
    .toBe(0);
  const healthy: EventHandler = {
    ...handler,
    handle: async (events) => void handled.push(...(events as Said[]).map((event) => event.reason)),
  };
  onTestFinished(await startConsumer(bus, healthy, silentLog));
  await expect.poll(unacknowledged, { timeout: 20_000 }).toBe(0);
  expect(new Set(handled)).toEqual(new Set(all));
}, 30_000);

test("stopping waits for the batch in hand, and the next process hears the rest", async () => {
  const done: string[] = [];
  let release = () => {};
  let entered = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const inHand = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const { say, start, unacknowledged } = await hear(
    async (said) => {
      entered();
      await held;
      done.push(...said);
    },
    { maxBatch: 1 },
  );
  for (const reason of ["one", "two", "three"]) await say(reason);
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

test("of those that share a lease its holder hears alone, and the next one hears once it has the lease", async () => {
  let holder = "first";
  const heard: string[] = [];
  const leaseOf = (name: string) => ({ acquire: async () => holder === name, release: async () => {} });
  const { bus, handler, say, start } = await hear(async (said) => void heard.push(`first ${said}`), {
    lease: leaseOf("first"),
  });
  const next: EventHandler = { ...handler, lease: leaseOf("next"), handle: async () => void heard.push("next") };
  await start();
  onTestFinished(await startConsumer(bus, next, silentLog));
  for (const reason of ["1", "2", "3"]) {
    await say(reason);
    await expect.poll(() => heard).toContain(`first ${reason}`);
  }
  expect(heard).not.toContain("next");

  holder = "next";
  await expect
    .poll(
      async () => {
        heard.length = 0;
        await say("4");
        await expect.poll(() => heard.length, { timeout: 2_000 }).toBe(1);
        return heard;
      },
      { timeout: 15_000 },
    )
    .toEqual(["next"]);
}, 30_000);
