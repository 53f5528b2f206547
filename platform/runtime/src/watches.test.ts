import { randomInt } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { anonymous, createRevocations, type Principal } from "@shop/auth";
import { clientAddressHeader } from "@shop/http-port";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Changes, Subscriber } from "./changes.ts";
import { contextOf, nothingRevoked } from "./testing/index.ts";
import { createWatches } from "./watches.ts";

const user = { kind: "user", userId: "user_1", roles: [] } as const;
const token = {
  sessionId: "session_1",
  version: 1,
  issueTime: new Date(),
  expireTime: new Date(Date.now() + 600_000),
};

/** Watches of documents that change when the test says so. */
function openWatches(options: Partial<Parameters<typeof createWatches>[0]> = {}) {
  const subscribers = new Map<Subscriber, string>();
  const changes: Changes = {
    subscribe(id, subscriber) {
      subscribers.set(subscriber, id);
      return () => void subscribers.delete(subscriber);
    },
  };
  const stop = new AbortController();
  const watch = createWatches({
    changes,
    revocations: nothingRevoked,
    max: 10,
    maxPerCaller: 10,
    maxPerNetwork: 0,
    stopping: stop.signal,
    keepAliveMs: 60_000,
    ...options,
  });
  return {
    watch,
    stop,
    change(changed: string) {
      for (const [subscriber, id] of subscribers) if (id === changed) subscriber.wake();
    },
    subscribed: () => [...subscribers.values()],
  };
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

test("several changes between reads are one turn", async () => {
  const { watch, change } = openWatches({ keepAliveMs: 50 });
  const { next } = watcherOf(watch, "a");
  expect(await next()).toBe("opened");
  for (let n = 1; n <= 10_000; n++) change("a");
  expect([await next(), await next()]).toEqual(["changed", "idle"]);
});

test("a change wakes the watchers of its document, and no others", async () => {
  const { watch, change } = openWatches();
  const [one, two, other] = [watcherOf(watch, "a"), watcherOf(watch, "a"), watcherOf(watch, "b")];
  for (const { next } of [one, two, other]) await next();
  const woken: string[] = [];
  void other.next().then((turn) => woken.push(String(turn)));
  for (let n = 1; n <= 20; n++) {
    const turns = Promise.all([one.next(), two.next()]);
    change("a");
    expect(await turns).toEqual(["changed", "changed"]);
  }
  expect(woken).toEqual([]);
  change("b");
  await vi.waitFor(() => expect(woken).toEqual(["changed"]));
});

test("a watcher without changes gets keep-alive turns", async () => {
  const { watch } = openWatches({ keepAliveMs: 20 });
  const { next } = watcherOf(watch, "a");
  expect([await next(), await next(), await next()]).toEqual(["opened", "idle", "idle"]);
});

test("a watch is subscribed until its caller has gone, even if it does not read", async () => {
  const { watch, change, subscribed } = openWatches();
  const [waiting, busy] = [watcherOf(watch, "a"), watcherOf(watch, "b")];
  for (const { next } of [waiting, busy]) await next();
  const ended = expect(waiting.next()).rejects.toMatchObject({ code: Code.Canceled });
  change("b");
  expect(subscribed()).toEqual(["a", "b"]);
  busy.leave();
  expect(subscribed()).toEqual(["a"]);
  waiting.leave();
  await ended;
  expect(subscribed()).toEqual([]);
});

test("a caller that goes away while it waits ends its watch at once", async () => {
  const { watch } = openWatches({ max: 1 });
  const { next, leave } = watcherOf(watch, "a");
  await next();
  const waiting = next();
  leave();
  await expect(waiting).rejects.toMatchObject({ code: Code.Canceled });
  expect(await watcherOf(watch, "a").next()).toBe("opened");
});

test("watches beyond the limit are refused, until one ends", async () => {
  const { watch } = openWatches({ max: 2 });
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
    const { watch } = openWatches({ maxPerCaller: 2 });
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
  const { watch } = openWatches({ max: 100, maxPerCaller: 10, maxPerNetwork: 20 });
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
  const { watch } = openWatches({ max: 100, maxPerCaller: 10 });
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
  const { watch } = openWatches();
  const { next } = watcherOf(watch, "a", {
    ...user,
    token: { ...token, expireTime: new Date(Date.now() + 200) },
  });
  await next();
  await expect(next()).rejects.toMatchObject({ kind: "unauthenticated", reason: "ACCESS_TOKEN_INVALID" });
});

test("a watch ends when its token is revoked, and no other does", async () => {
  const revocations = createRevocations({ retentionMs: 600_000 });
  const { watch, change } = openWatches({ revocations });
  const ofToken = (sessionId: string) => watcherOf(watch, "a", { ...user, token: { ...token, sessionId } });
  const [one, another] = [ofToken("session_1"), ofToken("session_2")];
  await Promise.all([one.next(), another.next()]);
  const isOver = expect(toItsEnd(one)).rejects.toMatchObject({
    kind: "unauthenticated",
    reason: "ACCESS_TOKEN_INVALID",
  });
  revocations.add({ userId: "user_1", sessionId: "session_1", version: 0, time: new Date() });
  await isOver;
  change("a");
  expect(await another.next()).toBe("changed");
  const isOverToo = expect(toItsEnd(another)).rejects.toMatchObject({ reason: "ACCESS_TOKEN_INVALID" });
  revocations.add({ userId: "user_1", sessionId: "", version: 2, time: new Date() });
  await isOverToo;
});

async function toItsEnd({ next }: ReturnType<typeof watcherOf>): Promise<never> {
  for (;;) await next();
}

test("all watches end when the process drains, and no new one begins", async () => {
  const { watch, stop, subscribed } = openWatches();
  const [waiting, busy] = [watcherOf(watch, "a"), watcherOf(watch, "a")];
  await waiting.next();
  await busy.next();
  const ended = expect(waiting.next()).rejects.toMatchObject({ kind: "unavailable", reason: "SERVICE_STOPPING" });
  stop.abort();
  await ended;
  for (const late of [busy, watcherOf(watch, "a")])
    await expect(late.next()).rejects.toMatchObject({ reason: "SERVICE_STOPPING" });
  expect(subscribed()).toEqual([]);
});
