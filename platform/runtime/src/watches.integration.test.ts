import { randomInt } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { anonymous, createRevocations, type Principal } from "@shop/auth";
import { clientAddressHeader } from "@shop/http-port";
import { type Changes, createChanges } from "@shop/mongo";
import { type Collection, MongoClient } from "mongodb";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { contextOf, nothingRevoked, openTestDb, silentLog } from "./testing/index.ts";
import { createWatches } from "./watches.ts";

interface Thing {
  _id: string;
  n: number;
}

const user = { kind: "user", userId: "user_1", roles: [] } as const;
const token = {
  sessionId: "session_1",
  version: 1,
  issueTime: new Date(),
  expireTime: new Date(Date.now() + 600_000),
};

/** A collection, and watches of it in two processes. */
async function openThings(options: Partial<Parameters<typeof createWatches>[0]> = {}) {
  const db = await openTestDb();
  const things = db.collection<Thing>("things");
  await things.insertMany(["a", "b"].map((_id) => ({ _id, n: 0 })));
  const stop = new AbortController();
  const makeWatch = (changes = createChanges(things, { operationType: "update" }, silentLog)) =>
    createWatches({
      changes,
      revocations: nothingRevoked,
      max: 10,
      maxPerCaller: 10,
      maxPerNetwork: 0,
      stopping: stop.signal,
      ...options,
    });
  const change = (_id: string) => things.updateOne({ _id }, { $inc: { n: 1 } });
  return { things, change, makeWatch, watch: makeWatch(), stop };
}

/** A watcher that reads the document in each turn, and can go away. */
function watcherOf(
  watch: ReturnType<typeof createWatches>,
  id: string,
  caller: Principal = user,
  headers: Readonly<Record<string, string>> = {},
) {
  const gone = new AbortController();
  const turns = watch(id, contextOf(caller, headers, gone.signal))[Symbol.asyncIterator]();
  onTestFinished(() => gone.abort());
  return { turns, next: () => turns.next().then(({ value }) => value), leave: () => gone.abort() };
}

/** Reads until the document's value is `n`. */
async function until(things: Collection<Thing>, id: string, n: number, next: () => Promise<unknown>): Promise<void> {
  for (;;) {
    await next();
    if ((await things.findOne({ _id: id }))!.n >= n) return;
  }
}

/** The number of open change streams of a collection. */
async function openStreams(things: Collection<Thing>): Promise<number> {
  const operations = await things.db
    .client!.db("admin")
    .aggregate([{ $currentOp: { idleCursors: true } }, { $match: { ns: things.namespace } }], {
      readConcern: { level: "local" },
    })
    .toArray();
  const cursors = operations.map(({ cursor }) => cursor).filter((cursor) => cursor !== undefined);
  return new Set(
    cursors.filter((cursor) => JSON.stringify(cursor).includes("$changeStream")).map((c) => `${c.cursorId}`),
  ).size;
}

test("a change wakes the watchers of its document in every process, and no others", async () => {
  const { things, change, makeWatch } = await openThings({ keepAliveMs: 60_000 });
  const processes = [makeWatch(), makeWatch()];
  const watchers = processes.flatMap((watch) => [watcherOf(watch, "a"), watcherOf(watch, "a")]);
  const others = processes.map((watch) => watcherOf(watch, "b"));
  expect(await Promise.all([...watchers, ...others].map(({ next }) => next()))).toEqual(Array(6).fill("opened"));
  // Once the streams are open each watcher is woken again, to read changes made meanwhile.
  expect(await Promise.all([...watchers, ...others].map(({ next }) => next()))).toEqual(Array(6).fill("changed"));

  const woken: string[] = [];
  for (const { next } of others)
    void next()
      .then((turn) => woken.push(String(turn)))
      .catch(() => {});
  for (let n = 1; n <= 20; n++) {
    const turns = watchers.map(({ next }) => until(things, "a", n, next));
    await change("a");
    await Promise.all(turns);
  }
  expect(woken).toEqual([]);
  await change("b");
  await vi.waitFor(() => expect(woken).toEqual(["changed", "changed"]));
});

test("no change during the opening of the stream is missed", async () => {
  const { things, change, watch } = await openThings();
  for (let n = 1; n <= 30; n++) {
    // The last watcher has gone, so each iteration opens the stream again.
    const { next, leave } = watcherOf(watch, "a");
    await next();
    await change("a");
    await until(things, "a", n, next);
    leave();
  }
});

test("several changes between reads are one turn", async () => {
  let wake = () => {};
  const changes: Changes = {
    subscribe(_id, subscribed) {
      wake = subscribed;
      return () => {};
    },
  };
  const { makeWatch } = await openThings({ keepAliveMs: 50 });
  const { next } = watcherOf(makeWatch(changes), "a");
  expect(await next()).toBe("opened");
  for (let n = 1; n <= 10_000; n++) wake();
  expect([await next(), await next()]).toEqual(["changed", "idle"]);
});

test("a watcher without changes gets keep-alive turns", async () => {
  const { watch } = await openThings({ keepAliveMs: 100 });
  const { next } = watcherOf(watch, "a");
  expect(await next()).toBe("opened");
  const turns = [await next(), await next(), await next()];
  expect(turns.slice(1)).toEqual(["idle", "idle"]);
});

test("one stream serves all watchers, and is closed when the last one has gone, even if it does not read", async () => {
  const { things, watch } = await openThings();
  const watchers = Array.from({ length: 5 }, () => watcherOf(watch, "a"));
  for (const { next } of watchers) await next();
  await vi.waitFor(async () => expect(await openStreams(things)).toBe(1), { timeout: 5_000 });
  for (const { leave } of watchers.slice(1)) leave();
  // They wait for their next turn or have one: none requests another.
  expect(await openStreams(things)).toBe(1);
  watchers[0]!.leave();
  await vi.waitFor(async () => expect(await openStreams(things)).toBe(0), { timeout: 5_000 });
});

test("a caller that goes away while it waits ends its watch at once", async () => {
  const { watch } = await openThings({ max: 1, keepAliveMs: 60_000 });
  const { next, leave } = watcherOf(watch, "a");
  await next();
  await next();
  const waiting = next();
  leave();
  await expect(waiting).rejects.toMatchObject({ code: Code.Canceled });
  expect(await watcherOf(watch, "a").next()).toBe("opened");
});

test("watches beyond the limit are refused, until one ends", async () => {
  const { watch } = await openThings({ max: 2 });
  const [first, second] = [watcherOf(watch, "a"), watcherOf(watch, "b")];
  await Promise.all([first.next(), second.next()]);
  await expect(watcherOf(watch, "a").next()).rejects.toMatchObject({ reason: "TOO_MANY_WATCHES" });
  await first.turns.return?.();
  expect(await watcherOf(watch, "a").next()).toBe("opened");
});

test.each<[string, (n: number) => { caller: Principal; address: string }]>([
  ["account", (n) => ({ caller: { ...user, userId: `user_${n}` }, address: "192.0.2.1" })],
  [
    "network of callers without an account",
    (n) => ({ caller: anonymous, address: `2001:db8:0:${n}::${randomInt(1, 9_999)}` }),
  ],
])(
  "watches beyond the limit of one %s are refused, until one ends, and those of others are not",
  async (_what, who) => {
    const { watch } = await openThings({ maxPerCaller: 2 });
    const watchAs = (n: number) => {
      const { caller, address } = who(n);
      return watcherOf(watch, "a", caller, { [clientAddressHeader]: address });
    };
    const [first, second] = [watchAs(1), watchAs(1)];
    await Promise.all([first.next(), second.next()]);
    await expect(watchAs(1).next()).rejects.toMatchObject({ kind: "resource_exhausted", reason: "TOO_MANY_WATCHES" });
    expect(await watchAs(2).next()).toBe("opened");
    first.leave();
    expect(await watchAs(1).next()).toBe("opened");
    await expect(watchAs(1).next()).rejects.toMatchObject({ reason: "TOO_MANY_WATCHES" });
  },
);

test("many accounts of one network share its limit, and an account of another network still gets its watches", async () => {
  const { watch } = await openThings({ max: 100, maxPerCaller: 10, maxPerNetwork: 20 });
  const watchAs = (userId: string, address: string) =>
    watcherOf(watch, "a", { ...user, userId }, { [clientAddressHeader]: address });
  const opened = async (userId: string, address: string, times: number) => {
    const all = Array.from({ length: times }, () => watchAs(userId, address).next());
    return (await Promise.allSettled(all)).filter(({ status }) => status === "fulfilled").length;
  };
  let taken = 0;
  for (let n = 0; n < 5; n++) taken += await opened(`abuser_${n}`, "192.0.2.1", 10);
  expect(taken).toBe(20);
  // The other addresses of its /24 get as many again, and no more.
  for (let n = 5; n < 20; n++) taken += await opened(`abuser_${n}`, `192.0.2.${n}`, 10);
  expect(taken).toBe(40);
  expect(await opened("customer", "198.51.100.1", 10)).toBe(10);
});

test("when nearly all watches are in use the largest holders get no more, and a customer without one does", async () => {
  const { watch } = await openThings({ max: 100, maxPerCaller: 10 });
  const watchAs = (userId: string, n: number) =>
    watcherOf(watch, "a", { ...user, userId }, { [clientAddressHeader]: `10.${n}.0.1` }).next();
  const attempts = Array.from({ length: 10 }, (_, n) => Array.from({ length: 20 }, () => watchAs(`abuser_${n}`, n)));
  const outcomes = await Promise.allSettled(attempts.flat());
  const taken = outcomes.filter(({ status }) => status === "fulfilled").length;
  expect(taken).toBeGreaterThanOrEqual(90);
  expect(taken).toBeLessThanOrEqual(95);
  for (let n = 0; n < 2; n++) expect(await watchAs("customer", 100)).toBe("opened");
  await expect(watchAs("abuser_0", 0)).rejects.toMatchObject({ reason: "TOO_MANY_WATCHES" });
});

test("a watch ends when its token expires", async () => {
  const { watch } = await openThings();
  const { next } = watcherOf(watch, "a", {
    ...user,
    token: { ...token, expireTime: new Date(Date.now() + 200) },
  });
  await next();
  await next();
  await expect(next()).rejects.toMatchObject({ kind: "unauthenticated", reason: "ACCESS_TOKEN_INVALID" });
});

test("a watch ends when its token is revoked, and no other does", async () => {
  const revocations = createRevocations({ retentionMs: 600_000 });
  const { watch, change } = await openThings({ revocations, keepAliveMs: 60_000 });
  const ofToken = (sessionId: string) => watcherOf(watch, "a", { ...user, token: { ...token, sessionId } });
  const [one, another] = [ofToken("session_1"), ofToken("session_2")];
  await Promise.all([one.next(), another.next()]);
  const isOver = expect(toItsEnd(one)).rejects.toMatchObject({
    kind: "unauthenticated",
    reason: "ACCESS_TOKEN_INVALID",
  });
  revocations.add({ userId: "user_1", sessionId: "session_1", version: 0, time: new Date() });
  await isOver;
  await change("a");
  expect(await another.next()).toBe("changed");
  const isOverToo = expect(toItsEnd(another)).rejects.toMatchObject({ reason: "ACCESS_TOKEN_INVALID" });
  revocations.add({ userId: "user_1", sessionId: "", version: 2, time: new Date() });
  await isOverToo;
});

async function toItsEnd({ next }: ReturnType<typeof watcherOf>): Promise<never> {
  for (;;) await next();
}

test("all watches end when the process drains, and no new one begins", async () => {
  const { things, watch, stop } = await openThings({ keepAliveMs: 60_000 });
  const [waiting, busy] = [watcherOf(watch, "a"), watcherOf(watch, "a")];
  await waiting.next();
  await waiting.next();
  await busy.next();
  const ended = expect(waiting.next()).rejects.toMatchObject({ kind: "unavailable", reason: "SERVICE_STOPPING" });
  stop.abort();
  await ended;
  for (const late of [busy, watcherOf(watch, "a")])
    await expect(late.next()).rejects.toMatchObject({ reason: "SERVICE_STOPPING" });
  await vi.waitFor(async () => expect(await openStreams(things)).toBe(0), { timeout: 5_000 });
});

test("a broken stream is reopened, and changes made meanwhile are seen", async () => {
  const { things, change, watch } = await openThings({ keepAliveMs: 60_000 });
  const { next } = watcherOf(watch, "a");
  await next();
  await next();
  // A dropped collection ends its streams: the driver does not resume them.
  await things.drop();
  await things.insertOne({ _id: "a", n: 5 });
  await until(things, "a", 5, next);
  await change("a");
  await until(things, "a", 6, next);
});

test("while the stream can't be opened all watchers are woken, so that their own reads report the error", async () => {
  const client = new MongoClient(inject("mongodbUri").replace(/127\.0\.0\.1:\d+/, "127.0.0.1:1"), {
    serverSelectionTimeoutMS: 100,
  });
  onTestFinished(() => client.close());
  const changes: Changes = createChanges(client.db("none").collection<Thing>("things"), {}, silentLog);
  const wake = vi.fn();
  const end = changes.subscribe("a", wake);
  await vi.waitFor(() => expect(wake).toHaveBeenCalledTimes(2), { timeout: 5_000 });
  end();
});
