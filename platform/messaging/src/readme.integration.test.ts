import type { DescMessage } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { newId } from "@shop/core";
import { readmeExample } from "@shop/http-port/testing/readme-example";
import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import type { Collection } from "mongodb";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Bus, type EventHandler, ensureConsumer, startConsumer, type WithOutbox } from "./index.ts";

interface Example {
  openThings(
    things: Collection<WithOutbox>,
    bus: Bus,
    Event: DescMessage,
    log: unknown,
  ): Promise<(id: string) => Promise<void>>;
  onThing(Event: DescMessage, handle: (ids: readonly string[]) => Promise<void>): EventHandler;
}

test("the README's example commits a document, and its event is consumed", async () => {
  const { openThings, onThing } = await readmeExample<Example>("@shop/messaging", import.meta.dirname);
  const [db, bus] = [await openTestDb(), await openTestBus()];
  const seen = vi.fn(async (_ids: readonly string[]) => {});
  const handler = { ...onThing(DurationSchema, seen), durable: newId("things") };
  // Streams are shared between tests, and no two may have the same subjects.
  await bus.ensureStream(handler.stream, ["google.protobuf.>"]);
  await ensureConsumer(bus, handler);
  const stop = await startConsumer(bus, handler, silentLog);
  onTestFinished(async () => {
    await stop();
    await bus.manager.streams.delete(handler.stream);
  });

  const commit = await openThings(db.collection("things"), bus, DurationSchema, silentLog);
  const id = newId("thing");
  await commit(id);
  await expect.poll(() => seen.mock.calls.flat(2)).toContain(`things/Duration/${id}/1/0`);
});
