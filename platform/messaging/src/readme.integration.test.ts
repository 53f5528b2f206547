import type { DescMessage } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { HttpRuleSchema } from "@shop/gen/google/api/http_pb";
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

test("the example of the README commits a document, and its event is consumed", async () => {
  const { openThings, onThing } = await readmeExample<Example>("@shop/messaging", import.meta.dirname);
  const [db, bus] = [await openTestDb(), await openTestBus()];
  const seen = vi.fn(async (_ids: readonly string[]) => {});
  const handler = { ...onThing(HttpRuleSchema, seen), durable: newId("things") };
  await bus.ensureStream(handler.stream, ["google.api.>"]);
  await ensureConsumer(bus, handler);
  onTestFinished(await startConsumer(bus, handler, silentLog));

  const commit = await openThings(db.collection("things"), bus, HttpRuleSchema, silentLog);
  const id = newId("thing");
  await commit(id);
  await expect.poll(() => seen.mock.calls.flat(2)).toContain(`things/HttpRule/${id}/1/0`);
});
