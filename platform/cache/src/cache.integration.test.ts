import { setTimeout as delay } from "node:timers/promises";
import { newId } from "@shop/core";
import { breakableProxy, openTestRedis } from "@shop/runtime/testing";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { type CachedReadOptions, createCache, type Loaded } from "./cache.ts";

interface Row {
  readonly text: string;
  readonly revision: readonly [number, number];
}

/** The origin: rows by key, which count their loads, and can be delayed. */
function openOrigin() {
  const rows = new Map<string, Row>();
  let loads = 0;
  let held: Promise<void> | undefined;
  return {
    rows,
    get loads() {
      return loads;
    },
    /** Delays all loads until the returned function is called. */
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

/** Clocks of this process that can be moved forward, until the test ends. */
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

/** A process that reads through its cache, once it receives changes; its name is shared with other replicas. */
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
    /** Resolves when Redis has executed all earlier commands: those of one connection run in order. */
    untilShared: async () => void (await redis.ping()),
    /** Changes a row as its writer does: commit, then invalidate. */
    async write(text: string, revision: Row["revision"], key = "key") {
      origin.rows.set(key, { text, revision });
      await read.invalidate([{ key, revision }]);
    },
    async [Symbol.asyncDispose]() {
      cache.close();
    },
  };
}

/** A writer, and a reader that has read "1" and whose connection to Redis can be broken. */
async function openPair() {
  const [origin, name] = [openOrigin(), newId("read")];
  const proxy = await breakableProxy(inject("redisUrl"));
  origin.rows.set("key", { text: "1", revision: [1, 1] });
  const writer = await openReplica(origin, name);
  const reader = await openReplica(origin, name, { url: proxy.url });
  expect(await reader.get()).toBe("1");
  return {
    ...{ proxy, writer, reader },
    async [Symbol.asyncDispose]() {
      writer.cache.close();
      reader.cache.close();
    },
  };
}

test("of many concurrent callers in several processes, one loads", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "value", revision: [1, 1] });
  await using a = await openReplica(origin, name);
  await using b = await openReplica(origin, name);
  const asked = Array.from({ length: 200 }, (_, n) => (n % 2 ? a : b).get());
  expect(new Set(await Promise.all(asked))).toEqual(new Set(["value"]));
  expect(origin.loads).toBe(1);
});

test("an answer stays in memory, and metrics count answers by source", async () => {
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

test("a write is visible at once in its process, and in others once they receive the change, before entries expire", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "0", revision: [0, 1] });
  await using writer = await openReplica(origin, name);
  await using reader = await openReplica(origin, name);
  for (let n = 1; n <= 30; n++) {
    await reader.get();
    origin.rows.set("key", { text: String(n), revision: [n, 1] });
    const invalidated = writer.read.invalidate([{ key: "key", revision: [n, 0] }]);
    expect(await writer.get()).toBe(String(n));
    await invalidated;
    // Entries are fresh for a minute.
    await vi.waitFor(async () => expect(await reader.get()).toBe(String(n)), { interval: 1 });
  }
  expect(reader.sources).toContain("memory");
});

test("a slow load can't restore an answer that was invalidated meanwhile, neither in memory nor in Redis", async () => {
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

test("a read after an invalidation is not answered by a load that began before it", async () => {
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

test("with two writers, a load that saw only one of their changes is not cached", async () => {
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

test("invalidateAll applies to memory, Redis and loads in progress", async () => {
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

test("a stale answer is served during a single reload, but not after its stale period", async () => {
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

test("missing values are remembered briefly, in memory for a few thousand invented keys", async () => {
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

test("answers to keys that clients can invent are shared only when they are requested again", async () => {
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

test("memory is bounded", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  await using a = await openReplica(origin, name, { memoryBytes: 1024 * 1024 });
  for (let n = 0; n < 500; n++) {
    origin.rows.set(`key-${n}`, { text: "x".repeat(1_000), revision: [1, 1] });
    await a.get(`key-${n}`);
  }
  expect(a.cache.memoryBytes()).toBeLessThanOrEqual(1024 * 1024);
  expect(a.cache.memoryBytes()).toBeGreaterThan(900_000);
});

test("after Redis loses its data, a load that began before is not stored", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  origin.rows.set("key", { text: "old", revision: [1, 1] });
  await using slow = await openReplica(origin, name);
  await using writer = await openReplica(origin, name);
  const release = origin.hold();
  const asked = slow.get();
  await vi.waitUntil(() => origin.loads === 1);
  await writer.write("new", [2, 1]);
  // Like FLUSHALL, but for this read only: Redis is shared with other tests.
  const keys = await writer.redis.keys(`cache:*:${name}*`);
  await writer.redis.del(keys);
  release();
  await asked;
  await slow.untilShared();
  await using reader = await openReplica(origin, name);
  expect(await reader.get()).toBe("new");
});

test("without Redis answers are current at once, and reused for half a second at most", async () => {
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

test("a process that loses its connection serves nothing old, and sees later writes when it is back", async () => {
  await using pair = await openPair();
  const { proxy, writer, reader } = pair;
  proxy.cut();
  await writer.write("2", [2, 1]);
  const writtenAt = performance.now();
  await vi.waitFor(async () => expect(await reader.get()).toBe("2"), { interval: 10 });
  expect(performance.now() - writtenAt).toBeLessThan(1_000);
  proxy.restore();
  await vi.waitUntil(() => reader.cache.isSubscribed(), { timeout: 10_000, interval: 10 });
  expect(await reader.get()).toBe("2");
  reader.sources.length = 0;
  await reader.get();
  expect(reader.sources).toEqual(["memory"]);
});

test("a frozen Redis delays callers only briefly, and nothing old is served from memory", async () => {
  await using pair = await openPair();
  const { proxy, writer, reader } = pair;
  proxy.freeze();
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

test("an invalidation that could not be sent to Redis is sent when it is back, and until then the entry is not read from it", async () => {
  const [origin, name] = [openOrigin(), newId("read")];
  const proxy = await breakableProxy(inject("redisUrl"));
  origin.rows.set("key", { text: "old", revision: [1, 1] });
  await using writer = await openReplica(origin, name, { url: proxy.url });
  expect(await writer.get()).toBe("old");
  await vi.waitFor(async () => expect(await writer.redis.keys(`cache:*:${name}:key`)).toHaveLength(1));
  proxy.cut();
  await vi.waitUntil(() => !writer.redis.isReady);
  await writer.write("new", [2, 1]);
  expect(await writer.get()).toBe("new");
  proxy.restore();
  await vi.waitUntil(() => writer.cache.isSubscribed(), { timeout: 10_000, interval: 10 });
  expect(await writer.get()).toBe("new");
  await using reader = await openReplica(origin, name);
  await vi.waitFor(async () => expect(await reader.get()).toBe("new"));
});
