import { create, createRegistry, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createPageTokens, newId } from "@shop/core";
import { CustomHttpPatternSchema, file_google_api_http } from "@shop/gen/google/api/http_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { errorsInterceptor, rememberCaller } from "@shop/rpc-server";
import { openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test } from "vitest";
import { deadLetterService } from "../dead-letter-service.ts";
import { ensureConsumer, eventHandler, startConsumer } from "./consumer.ts";
import { deadLetterStream, ensureDeadLetters } from "./dead-letters.ts";

// Any message can be an event; no service publishes this one.
const stream = "test-dead-letters";
const type = CustomHttpPatternSchema.typeName;
type TestEvent = MessageShape<typeof CustomHttpPatternSchema>;

const encoded = (kind: string) => toBinary(CustomHttpPatternSchema, create(CustomHttpPatternSchema, { kind }));

/** Two consumers of one event, of which one fails until it is fixed. */
async function openLetters() {
  const bus = await openTestBus();
  await ensureDeadLetters(bus);
  onTestFinished(async () => void (await bus.manager.streams.delete(stream)));
  const handled = { broken: [] as string[], healthy: [] as string[] };
  let isFixed = false;
  const handlerOf = (durable: string, handle: (kinds: readonly string[]) => void) =>
    eventHandler({
      durable,
      stream,
      event: CustomHttpPatternSchema,
      maxBatch: 10,
      handle: async (events: readonly TestEvent[]) => handle(events.map(({ kind }) => kind)),
    });
  const broken = handlerOf(newId("broken"), (kinds) => {
    if (!isFixed) throw new Error("can't be handled");
    handled.broken.push(...kinds);
  });
  const healthy = handlerOf(newId("healthy"), (kinds) => void handled.healthy.push(...kinds));
  for (const handler of [broken, healthy]) {
    await ensureConsumer(bus, handler);
    onTestFinished(await startConsumer(bus, handler, silentLog));
  }

  const client = createClient(
    DeadLetterService,
    createRouterTransport(
      (router) =>
        router.service(
          DeadLetterService,
          deadLetterService({
            bus,
            pageTokens: createPageTokens(() => ["secret"]),
            events: createRegistry(file_google_api_http),
            log: silentLog,
          }),
        ),
      {
        router: {
          interceptors: [errorsInterceptor()],
          requestGate: async ({ values }) =>
            rememberCaller(values, { kind: "user", userId: "user_admin", roles: ["admin"] }),
        },
      },
    ),
  );
  const listed = async (consumer = broken.durable) => (await client.listDeadLetters({ consumer })).deadLetters;
  /** Publishes an event, and returns its dead letter once there is one. */
  async function publishFailing(kind: string) {
    const id = newId("event");
    await bus.publish({ id, type, payload: encoded(kind) });
    await expect.poll(async () => (await listed()).map(({ eventId }) => eventId), { timeout: 20_000 }).toEqual([id]);
    return (await listed())[0]!;
  }
  /** A dead letter of an old event. */
  async function plant(payload: Uint8Array) {
    const id = newId("event");
    const headers = {
      "Dead-Letter-Reason": "Error: can't be handled",
      "Dead-Letter-Consumer": broken.durable,
      "Dead-Letter-Event-Id": id,
      "Dead-Letter-Subject": type,
    };
    await bus.send(`${deadLetterStream}.${broken.durable}`, { id: `${broken.durable}/${id}`, headers, payload });
    return (await listed())[0]!;
  }
  function fix(): void {
    isFixed = true;
  }
  return { bus, client, listed, publishFailing, plant, handled, broken, fix };
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error) => Code[ConnectError.from(error).code],
  );

test("a dead letter has the consumer, the event and the reason", async () => {
  const { client, publishFailing, broken } = await openLetters();
  const listed = await publishFailing("poison");
  expect(listed).toMatchObject({
    consumer: broken.durable,
    reason: "Error: can't be handled",
    eventType: type,
    redriveCount: 0,
  });
  expect(listed.payload).toHaveLength(0);
  const { deadLetter } = await client.getDeadLetter({ deadLetterId: listed.deadLetterId });
  expect(deadLetter).toMatchObject({ ...listed, payload: expect.any(Uint8Array), event: { kind: "poison" } });
  expect(deadLetter?.payload).toEqual(encoded("poison"));
}, 30_000);

test("a payload that does not decode is shown as bytes", async () => {
  const { client, plant } = await openLetters();
  const letter = await plant(new Uint8Array([0xff, 0xff]));
  const { deadLetter } = await client.getDeadLetter({ deadLetterId: letter.deadLetterId });
  expect(deadLetter?.payload).toEqual(new Uint8Array([0xff, 0xff]));
  expect(deadLetter?.event).toBeUndefined();
}, 30_000);

test("a redriven event is handled by the consumer that failed and no other, even right after it was published", async () => {
  const { client, listed, publishFailing, handled, fix } = await openLetters();
  const letter = await publishFailing("later");
  fix();
  await client.redriveDeadLetter({ deadLetterId: letter.deadLetterId });
  await expect.poll(() => handled.broken).toEqual(["later"]);
  expect(await listed()).toEqual([]);
  await untilAllIsHandled(handled);
  expect(handled.healthy).toEqual(["later", "last"]);
}, 30_000);

/** A consumer that has handled a later event has handled everything before it. */
async function untilAllIsHandled(handled: { readonly healthy: readonly string[] }) {
  const bus = await openTestBus();
  await bus.publish({ id: newId("event"), type, payload: encoded("last") });
  await expect.poll(() => handled.healthy.at(-1)).toBe("last");
}

test("a letter that is redriven repeatedly and concurrently is delivered once", async () => {
  const { bus, client, listed, plant, handled, fix } = await openLetters();
  const letter = await plant(encoded("once"));
  fix();
  const before = (await bus.manager.streams.info(stream)).state.messages;
  const codes = await Promise.all(
    Array.from({ length: 8 }, () => codeOf(client.redriveDeadLetter({ deadLetterId: letter.deadLetterId }))),
  );
  expect(codes).toContain("ok");
  expect(codes.every((code) => code === "ok" || code === "NotFound")).toBe(true);
  expect(await codeOf(client.redriveDeadLetter({ deadLetterId: letter.deadLetterId }))).toBe("NotFound");
  await expect.poll(() => handled.broken).toEqual(["once"]);
  expect((await bus.manager.streams.info(stream)).state.messages).toBe(before + 1);
  expect(await listed()).toEqual([]);
}, 30_000);

test("a redriven event that fails again is a new dead letter of the same event, even at once", async () => {
  const { client, listed, publishFailing } = await openLetters();
  const first = await publishFailing("stubborn");
  await client.redriveDeadLetter({ deadLetterId: first.deadLetterId });
  await expect.poll(async () => (await listed()).length, { timeout: 20_000 }).toBe(1);
  const [second] = await listed();
  expect(second).toMatchObject({
    consumer: first.consumer,
    eventId: first.eventId,
    eventType: first.eventType,
    redriveCount: 1,
  });
  expect(second!.deadLetterId).not.toBe(first.deadLetterId);
}, 45_000);

test("a letter whose consumer no longer exists is not redriven", async () => {
  const { bus, client, listed, plant, broken } = await openLetters();
  const letter = await plant(encoded("unconsumed"));
  await bus.manager.consumers.delete(stream, broken.durable);
  expect(await codeOf(client.redriveDeadLetter({ deadLetterId: letter.deadLetterId }))).toBe("FailedPrecondition");
  expect(await listed()).toEqual([letter]);
}, 30_000);

test("a deleted letter is gone, and deleting it again is not found", async () => {
  const { client, listed, plant } = await openLetters();
  const letter = await plant(encoded("rubbish"));
  expect(await codeOf(client.deleteDeadLetter({ deadLetterId: letter.deadLetterId }))).toBe("ok");
  expect(await codeOf(client.deleteDeadLetter({ deadLetterId: letter.deadLetterId }))).toBe("NotFound");
  expect(await codeOf(client.getDeadLetter({ deadLetterId: letter.deadLetterId }))).toBe("NotFound");
  expect(await listed()).toEqual([]);
}, 30_000);

test("letters are listed once each, oldest first, by page and by consumer", async () => {
  const { bus, client } = await openLetters();
  const [mine, others] = [newId("mine"), newId("others")];
  for (let index = 0; index < 5; index++) {
    for (const consumer of [mine, others]) {
      const letter = { id: newId("letter"), headers: { "Dead-Letter-Reason": `${index}` }, payload: new Uint8Array() };
      await bus.send(`${deadLetterStream}.${consumer}`, letter);
    }
  }
  const reasons: string[] = [];
  let pageToken = "";
  do {
    const page = await client.listDeadLetters({ consumer: mine, pageSize: 2, pageToken });
    expect(page.deadLetters.every(({ consumer }) => consumer === mine)).toBe(true);
    reasons.push(...page.deadLetters.map(({ reason }) => reason));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(reasons).toEqual(["0", "1", "2", "3", "4"]);
});
