import { setTimeout as delay } from "node:timers/promises";
import { newId } from "@shop/core";
import { breakableWay, openTestRedis } from "@shop/runtime/testing";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { type CachedReadOptions, createCache, type Loaded } from "./cache.ts";

interface Row {
  readonly text: string;
  readonly revision: readonly [number, number];
}

/** What is read: rows by key, which say how often they were read, and can be slow. */
function openOrigin() {
  const rows = new Map<string, Row>();
  let loads = 0;
  let held: Promise<void> | undefined;
  return {
    rows,
    get loads() {
      return loads;
    },
    /** From now on what is read waits before it arrives, until the answer is called. */
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    load: (key: string) => async (): Promise<Loaded<string> | undefined> => {
      loads++;
      const row = rows.get(key);
      await held;
      return row && { value: row.text, revision: row.revision };
    },
  };
}
type Origin = ReturnType<typeof openOrigin>;

/** Clocks of this process that can be moved ahead, until the test has ended. */
function openClocks() {
  let aheadMs = 0;
  for (const clock of [performance, Date]) {
    const now = clock.now.bind(clock);
    const spy = vi.spyOn(clock, "now").mockImplementation(() => now() + aheadMs);
    onTestFinished(() => spy.mockRestore());
  }
  return {
    pass(ms: number): void {
      aheadMs += ms;
    },
  };
}

/** A process that reads through its cache, once it hears the others; its name is shared with other replicas. */
async function openReplica(
  origin: Origin,
  name: string,
  options: Partial<CachedReadOptions<string>> & { url?: string; memoryBytes?: number; deaf?: boolean } = {},
) {
  const { url = inject("redisUrl"), memoryBytes = 1024 * 1024, deaf = false, ...of } = options;
  const sources: string[] = [];
  const redis = openTestRedis(url);
  const cache = createCache({ redis, memoryBytes, metrics: { cacheRead: (_, source) => sources.push(source) } });
  const read = cache.read<string>({
    name,
    encode: (text) => new TextEncoder().encode(text),
    decode: (bytes) => new TextDecoder().decode(bytes),
    freshMs: 60_000,
    staleMs: 0,
    ...of,
  });
  if (!deaf) await vi.waitUntil(() => cache.isSubscribed() && redis.isReady, { timeout: 10_000, interval: 5 });
  return {
    redis,
    cache,
    read,
    sources,
    get: (key = "key") => read.get(key, origin.load(key)),
    /** Resolves when Redis has done all that it was asked so far: commands of one connection are done in turn. */
    untilShared: async () => void (await redis.ping()),
    /** Changes a row as its writer does: commit, then tell. */
    async write(text: string, revision: Row["revision"], key = "key") {
      origin.rows.set(key, { text, revision });
      await read.invalidate([{ key, revision }]);
    },
    async [Symbol.asyncDispose]() {
      cache.close();
    },
  };
}

/** A writer, and a reader who has read "1" and whose way to Redis can be broken. */
async function openPair() {
  const [origin, name] = [openOrigin(), newId("read")];
  const way = await breakableWay(inject("redisUrl"));
  origin.rows.set("key", { text: "1", revision: [1, 1] });
  const writer = await openReplica(origin, name);
  const reader = await openReplica(origin, name, { url: way.url });
  expect(await reader.get()).toBe("1");
  return {
    ...{ way, writer, reader },
    async [Symbol.asyncDispose]() {
      writer.cache.close();
      reader.cache.close();
    },
  };
}

test("however many ask at once, in however many processes, one of them loads", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "value", revision: [1, 1] });
  await using a = await openReplica(origin, name);
  await using b = await openReplica(origin, name);
  const asked = Array.from({ length: 200 }, (_, n) => (n % 2 ? a : b).get());
  expect(new Set(await Promise.all(asked))).toEqual(new Set(["value"]));
  expect(origin.loads).toBe(1);
});

test("what was read stays in memory, and is told apart in the metrics", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "value", revision: [1, 1] });
  await using a = await openReplica(origin, name);
  await using b = await openReplica(origin, name);
  expect(await a.get()).toBe("value");
  expect(await a.get()).toBe("value");
  await vi.waitFor(async () => expect(await b.redis.keys(`cache:*:${name}:key`)).toHaveLength(1));
  expect(await b.get()).toBe("value");
  expect([a.sources, b.sources]).toEqual([["origin", "memory"], ["redis"]]);
});

test("a write is seen at once where it was made, and elsewhere once word of it has come, not at the end of an entry", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "0", revision: [0, 1] });
  await using writer = await openReplica(origin, name);
  await using reader = await openReplica(origin, name);
  for (let n = 1; n <= 30; n++) {
    await reader.get();
    origin.rows.set("key", { text: String(n), revision: [n, 1] });
    const told = writer.read.invalidate([{ key: "key", revision: [n, 0] }]);
    expect(await writer.get()).toBe(String(n));
    await told;
    // Entries last a minute.
    await vi.waitFor(async () => expect(await reader.get()).toBe(String(n)), { interval: 1 });
  }
  expect(reader.sources).toContain("memory");
});

test("a slow reader can't put back what was invalidated meanwhile: not here, not in Redis", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "old", revision: [1, 1] });
  await using slow = await openReplica(origin, name);
  await using other = await openReplica(origin, name);
  const release = origin.hold();
  const asked = slow.get();
  await vi.waitUntil(() => origin.loads === 1);
  await other.write("new", [2, 1]);
  release();
  await asked;
  await slow.untilShared();
  expect(await slow.get()).toBe("new");
  await using third = await openReplica(origin, name);
  expect(await third.get()).toBe("new");
});

test("who asks after an invalidation is not answered by a load that began before it", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "old", revision: [1, 1] });
  await using a = await openReplica(origin, name);
  const release = origin.hold();
  const before = a.get();
  await vi.waitUntil(() => origin.loads === 1);
  await a.write("new", [2, 1]);
  const after = a.get();
  release();
  expect([await before, await after]).toEqual(["old", "new"]);
});

test("two writers mark what each has changed, and a reader that saw only one of the changes can't restore that", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  await using writers = await openReplica(origin, name);
  await writers.write("?", [2, 0]);
  await writers.write("?", [0, 2]);
  for (const half of [
    [2, 1],
    [1, 2],
  ] as const) {
    origin.rows.set("key", { text: "half old", revision: half });
    await using reader = await openReplica(origin, name);
    await reader.get();
  }
  origin.rows.set("key", { text: "new", revision: [2, 2] });
  await using reader = await openReplica(origin, name);
  expect(await reader.get()).toBe("new");
});

test("an invalidation of everything reaches what is kept, what is in Redis and what is being loaded", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("kept", { text: "old", revision: [0, 0] });
  origin.rows.set("loading", { text: "old", revision: [0, 0] });
  await using a = await openReplica(origin, name);
  await using b = await openReplica(origin, name);
  await a.get("kept");
  await b.get("kept");
  const release = origin.hold();
  const asked = b.get("loading");
  await vi.waitUntil(() => origin.loads >= 2);
  for (const key of ["kept", "loading"]) origin.rows.set(key, { text: "new", revision: [0, 0] });
  await a.read.invalidateAll();
  expect(await Promise.all([release(), a.get("kept"), asked])).toContain("new");
  await vi.waitFor(async () => expect([await b.get("kept"), await b.get("loading")]).toEqual(["new", "new"]));
  await using c = await openReplica(origin, name);
  expect([await c.get("kept"), await c.get("loading")]).toEqual(["new", "new"]);
});

test("what is past its time is still given while one load, for all, brings the next; and not after the end", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "first", revision: [0, 0] });
  await using a = await openReplica(origin, name, { freshMs: 100, staleMs: 400 });
  const clocks = openClocks();
  await a.get();
  origin.rows.set("key", { text: "second", revision: [0, 0] });
  clocks.pass(110);
  const release = origin.hold();
  expect(await Promise.all([a.get(), a.get(), a.get()])).toEqual(["first", "first", "first"]);
  await vi.waitUntil(() => origin.loads === 2);
  release();
  await vi.waitFor(async () => expect(await a.get()).toBe("second"), { interval: 5 });
  expect(origin.loads).toBe(2);
  origin.rows.set("key", { text: "third", revision: [0, 0] });
  clocks.pass(500);
  expect(await a.get()).toBe("third");
});

test("what is not there is remembered for a while, without room for more than a few thousand made-up keys", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  await using a = await openReplica(origin, name);
  origin.rows.set("wanted", { text: "value", revision: [1, 1] });
  await a.get("wanted");
  expect([await a.get(), await a.get()]).toEqual([undefined, undefined]);
  expect(origin.loads).toBe(2);
  for (let n = 0; n < 20_000; n += 100)
    await Promise.all(Array.from({ length: 100 }, (_, m) => a.get(`made-up-${n + m}`)));
  expect(a.cache.memoryBytes()).toBeLessThan(4.1 * 1024 * 1024);
  expect(await a.redis.keys(`cache:*:${name}:made-up-*`)).toEqual([]);
  a.sources.length = 0;
  expect(await a.get("wanted")).toBe("value");
  expect(a.sources).toEqual(["memory"]);
  await a.write("came", [1, 1], "made-up-19999");
  expect(await a.get("made-up-19999")).toBe("came");
});

test("answers to keys that anybody can make up are shared only once somebody asked again", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "value", revision: [0, 0] });
  await using a = await openReplica(origin, name, { anyKey: true });
  await a.get();
  await a.untilShared();
  expect(await a.redis.keys(`cache:*:${name}:*`)).toEqual([]);
  await a.get();
  await vi.waitFor(async () =>
    expect(await a.redis.keys(`cache:*:${name}:*`)).toEqual([expect.stringMatching(/key$/)]),
  );
});

test("the process keeps no more than it may", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  await using a = await openReplica(origin, name, { memoryBytes: 1024 * 1024 });
  for (let n = 0; n < 500; n++) {
    origin.rows.set(`key-${n}`, { text: "x".repeat(1_000), revision: [1, 1] });
    await a.get(`key-${n}`);
  }
  expect(a.cache.memoryBytes()).toBeLessThanOrEqual(1024 * 1024);
  expect(a.cache.memoryBytes()).toBeGreaterThan(900_000);
});

test("when Redis forgets everything, a load that began before it is not taken for new", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "old", revision: [1, 1] });
  await using slow = await openReplica(origin, name);
  await using writer = await openReplica(origin, name);
  const release = origin.hold();
  const asked = slow.get();
  await vi.waitUntil(() => origin.loads === 1);
  await writer.write("new", [2, 1]);
  // As FLUSHALL does, for this read alone: Redis is shared with other tests.
  const keys = await writer.redis.keys(`cache:*:${name}*`);
  await writer.redis.del(keys);
  release();
  await asked;
  await slow.untilShared();
  await using reader = await openReplica(origin, name);
  expect(await reader.get()).toBe("new");
});

test("without Redis answers are right at once, and loads are shared for half a second at most", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "1", revision: [1, 1] });
  await using a = await openReplica(origin, name, { url: "redis://127.0.0.1:1", deaf: true });
  await using b = await openReplica(origin, name, { url: "redis://127.0.0.1:1", deaf: true });
  expect(await Promise.all([a.get(), a.get(), b.get()])).toEqual(["1", "1", "1"]);
  expect(origin.loads).toBe(2);
  const clocks = openClocks();
  await a.write("2", [2, 1]);
  expect(await a.get()).toBe("2");
  clocks.pass(500);
  expect(await b.get()).toBe("2");
});

test("whoever loses the connection serves nothing old, and finds what was written meanwhile when it is back", async () => {
  await using pair = await openPair();
  const { way, writer, reader } = pair;
  way.cut();
  await writer.write("2", [2, 1]);
  const writtenAt = performance.now();
  await vi.waitFor(async () => expect(await reader.get()).toBe("2"), { interval: 10 });
  expect(performance.now() - writtenAt).toBeLessThan(1_000);
  way.mend();
  await vi.waitUntil(() => reader.cache.isSubscribed(), { timeout: 10_000, interval: 10 });
  expect(await reader.get()).toBe("2");
  reader.sources.length = 0;
  await reader.get();
  expect(reader.sources).toEqual(["memory"]);
});

test("a Redis that freezes costs little, and nothing old is given from memory", async () => {
  await using pair = await openPair();
  const { way, writer, reader } = pair;
  way.freeze();
  await writer.write("2", [2, 1]);
  const writtenAt = performance.now();
  let slowest = 0;
  for (let seen: string | undefined; seen !== "2"; ) {
    const askedAt = performance.now();
    seen = await reader.get();
    slowest = Math.max(slowest, performance.now() - askedAt);
    await delay(5);
  }
  expect(performance.now() - writtenAt).toBeLessThan(1_300);
  expect(slowest).toBeLessThan(300);
});

test("what Redis could not be told is told when it is back, and until then is not read from it", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  const way = await breakableWay(inject("redisUrl"));
  origin.rows.set("key", { text: "old", revision: [1, 1] });
  await using writer = await openReplica(origin, name, { url: way.url });
  expect(await writer.get()).toBe("old");
  await vi.waitFor(async () => expect(await writer.redis.keys(`cache:*:${name}:key`)).toHaveLength(1));
  way.cut();
  await vi.waitUntil(() => !writer.redis.isReady);
  await writer.write("new", [2, 1]);
  expect(await writer.get()).toBe("new");
  way.mend();
  await vi.waitUntil(() => writer.cache.isSubscribed(), { timeout: 10_000, interval: 10 });
  expect(await writer.get()).toBe("new");
  await using reader = await openReplica(origin, name);
  await vi.waitFor(async () => expect(await reader.get()).toBe("new"));
});
