import type { JsMsg } from "@nats-io/jetstream";
import { newId } from "@shop/core";
import { MoneySchema } from "@shop/gen/shop/common/v1/money_pb";
import { createLease } from "@shop/mongo";
import { defineModule } from "@shop/runtime";
import { absentBus, openTestBus, openTestDb, silentLog, startTestModule } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import type { Bus } from "../bus/bus.ts";
import { type Event, eventsOf } from "../bus/event-batch.ts";
import { openOutbox as openModuleOutbox } from "./open-outbox.ts";
import { createOutbox, ensureOutboxIndex } from "./outbox.ts";
import { batched, pendingEvent, toEvent, type WithOutbox } from "./pending-event.ts";
import { createOutboxUpkeep } from "./upkeep.ts";

// Any message can be an event.
const stream = "test-outbox";
const aWhileAgo = () => new Date(Date.now() - 60_000);

async function openOutbox({ isConnected = true } = {}) {
  const [db, bus] = [await openTestDb(), await openTestBus()];
  await bus.ensureStream(stream, [MoneySchema.typeName]);
  const collection = db.collection<WithOutbox>("things");
  await ensureOutboxIndex(collection);
  const outbox = createOutbox(collection, isConnected ? bus : absentBus(bus), silentLog);
  /** Commits a document with an event in it, as a store does. */
  async function commit(time: Date) {
    const _id = newId("thing");
    const event = pendingEvent(
      MoneySchema,
      { minorUnits: 1n },
      { service: "test", aggregateId: _id, version: 1, time },
    );
    await collection.insertOne({ _id, outbox: [event] });
    return { _id, event };
  }
  const left = async (_id: string) => (await collection.findOne({ _id }))?.outbox.length;
  return { db, bus, collection, outbox, commit, left };
}

async function allMessages(bus: Bus): Promise<JsMsg[]> {
  const consumer = await bus.jetstream.consumers.get(stream);
  const { num_pending } = await consumer.info();
  const found: JsMsg[] = [];
  if (num_pending === 0) return found;
  for await (const message of await consumer.fetch({ max_messages: num_pending, expires: 2_000 })) found.push(message);
  return found;
}

async function timesPublished(bus: Bus, eventId: string): Promise<number> {
  return (await allMessages(bus)).filter(({ headers }) => headers?.get("Nats-Msg-Id") === eventId).length;
}

test("a relayed event is published once, and removed from its document", async () => {
  const { bus, outbox, commit, left } = await openOutbox();
  const { _id, event } = await commit(new Date());
  await outbox.relay(_id, [event]);
  await expect.poll(() => left(_id)).toBe(0);
  expect(await timesPublished(bus, event.id)).toBe(1);
});

test("a document without events is not written again", async () => {
  const { collection, outbox } = await openOutbox();
  const update = vi.spyOn(collection, "updateMany");
  await outbox.relay(newId("thing"), []);
  await outbox.close();
  expect(update).not.toHaveBeenCalled();
});

test("an event that can't be published stays in the outbox, and relaying does not fail the writer", async () => {
  const { outbox, commit, left } = await openOutbox({ isConnected: false });
  const { _id, event } = await commit(new Date());
  await outbox.relay(_id, [event]);
  await outbox.close();
  expect(await left(_id)).toBe(1);
});

test("the sweeper publishes events left behind by a crash, and leaves recent ones to their writer", async () => {
  const { db, bus, outbox, commit, left } = await openOutbox();
  const [old, fresh] = [await commit(aWhileAgo()), await commit(new Date())];
  await outbox
    .sweeper({ lease: createLease(db, "sweep", "test", 1_000), afterMs: 5_000 })
    .run(new AbortController().signal);
  expect([await left(old._id), await left(fresh._id)]).toEqual([0, 1]);
  expect([await timesPublished(bus, old.event.id), await timesPublished(bus, fresh.event.id)]).toEqual([1, 0]);
});

test("an event published twice is stored once", async () => {
  const { db, bus, outbox, commit } = await openOutbox();
  const { _id, event } = await commit(aWhileAgo());
  await outbox.relay(_id, [event]);
  await outbox
    .sweeper({ lease: createLease(db, "sweep", "test", 1_000), afterMs: 5_000 })
    .run(new AbortController().signal);
  expect(await timesPublished(bus, event.id)).toBe(1);
});

test("many events of one document are stored in batches, and arrive unchanged", async () => {
  const { bus, collection, outbox } = await openOutbox();
  const _id = newId("thing");
  const events = Array.from({ length: 257 }, (_, n) =>
    pendingEvent(
      MoneySchema,
      { minorUnits: BigInt(n) },
      { service: "test", aggregateId: _id, version: 1, n, time: aWhileAgo() },
    ),
  );
  await collection.insertOne({ _id, outbox: batched(events) });
  const stored = (await collection.findOne({ _id }))!.outbox;
  expect(stored).toHaveLength(2);
  expect((await createOutboxUpkeep(collection, outbox).findStuck(_id, new Date()))?.events).toBe(257);
  await outbox.relay(_id, stored);
  await expect.poll(async () => (await collection.findOne({ _id }))!.outbox).toEqual([]);

  const arrived = (await allMessages(bus)).flatMap(eventsOf).filter(({ id }) => id.includes(_id));
  const known = ({ id, type, payload }: Event) => ({ id, type, payload: Buffer.from(payload).toString("hex") });
  expect(arrived.map(known)).toEqual(events.map(toEvent).map(known));
});

test("a module's outbox publishes events after the `before` hook has seen their documents", async () => {
  const { bus, commit, collection } = await openOutbox();
  const { event, _id } = await commit(aWhileAgo());
  const seen = vi.fn(async (documents: readonly WithOutbox[]) => {
    expect(documents.map((document) => document._id)).toEqual([_id]);
    expect(await timesPublished(bus, event.id)).toBe(0);
  });
  const module = defineModule({
    name: newId("outbox"),
    config: z.object({}),
    implements: [],
    port: () => 0,
    upstreams: () => [],
    async start({ log }) {
      const outbox = await openModuleOutbox(collection, { label: "test", bus, log });
      return { routes() {}, outboxes: [outbox.work({ before: seen })] };
    },
  });
  await startTestModule(module);
  await expect.poll(async () => (await collection.findOne({ _id }))!.outbox).toEqual([]);
  expect(seen).toHaveBeenCalledTimes(1);
  expect(await timesPublished(bus, event.id)).toBe(1);
});
