import type { JsMsg } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type BusMessage, createBatchPublisher, type Event, eventsOf } from "./event-batch.ts";

const eventOf = (n: number, bytes = 3): Event => ({
  id: `test/Created/thing/${n}/0`,
  type: "test.v1.Created",
  payload: new Uint8Array(bytes).fill(n),
  traceparent: n % 2 === 0 ? `00-${"a".repeat(32)}-${"b".repeat(16)}-01` : undefined,
  tracestate: n % 2 === 0 ? "vendor=1" : undefined,
});

async function publish(events: readonly Event[]) {
  const sent: { subject: string; message: BusMessage }[] = [];
  const publisher = createBatchPublisher(async (subject, message) => void sent.push({ subject, message }));
  await Promise.all(events.map(publisher));
  return sent;
}

/** As the consumer receives it. */
function received({ subject, message }: { subject: string; message: BusMessage }): JsMsg {
  const fields = headers();
  fields.set("Nats-Msg-Id", message.id);
  for (const [name, value] of Object.entries(message.headers)) fields.set(name, value);
  return { subject, data: message.payload, headers: fields, seq: 7, info: { stream: "test" } } as JsMsg;
}

test("events published together are sent as one message, and arrive unchanged", async () => {
  const events = [1, 2, 3].map((n) => eventOf(n));
  const sent = await publish(events);
  expect(sent).toHaveLength(1);
  expect(eventsOf(received(sent[0]!))).toEqual(events);
});

test("a single event is sent unwrapped, under its own id", async () => {
  const [only] = await publish([eventOf(2)]);
  expect(only!.message).toMatchObject({ id: eventOf(2).id, payload: eventOf(2).payload });
  expect(eventsOf(received(only!))).toEqual([eventOf(2)]);
});

test("events of different types never share a message", async () => {
  const sent = await publish([eventOf(1), { ...eventOf(2), type: "test.v1.Deleted" }]);
  expect(sent.map(({ subject }) => subject).sort()).toEqual(["test.v1.Created", "test.v1.Deleted"]);
});

test("a message stays below the server's limit, even for large events", async () => {
  const events = Array.from({ length: 30 }, (_, n) => eventOf(n, 100_000));
  const sent = await publish(events);
  for (const { message } of sent) expect(message.payload.length).toBeLessThan(1024 * 1024);
  expect(sent.flatMap((one) => eventsOf(received(one)))).toEqual(events);
});

test("equal batches have the same id, and different ones never", async () => {
  const idOf = async (...numbers: number[]) => (await publish(numbers.map((n) => eventOf(n))))[0]!.message.id;
  expect(await idOf(1, 2)).toBe(await idOf(1, 2));
  expect(await idOf(1, 2)).not.toBe(await idOf(1, 2, 3));
});

test("a message that fails to be stored fails all its events", async () => {
  const publisher = createBatchPublisher(async () => {
    throw new Error("no space left");
  });
  await expect(Promise.all([publisher(eventOf(1)), publisher(eventOf(2))])).rejects.toThrow("no space left");
});
