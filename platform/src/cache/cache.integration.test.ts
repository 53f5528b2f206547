import { expect, inject, test } from "vitest";
import { newId } from "../ids.ts";
import { openTestRedis } from "../testing/index.ts";
import { createCache, type Revision } from "./cache.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function openTestCache(url = inject("redisUrl")) {
  return { cache: createCache(openTestRedis(url)), key: newId("test") };
}

/** The connection is made in the background: until then nothing is kept. */
async function filled(cache: ReturnType<typeof createCache>, key: string, revision: Revision, text: string) {
  await expect
    .poll(async () => {
      await cache.fill(key, revision, bytes(text));
      return cache.get(key).then((value) => value && Buffer.from(value).toString());
    })
    .toBe(text);
}

test("what was filled is found, byte by byte", async () => {
  const { cache, key } = await openTestCache();
  await filled(cache, key, [1, 1], "\u0000\u00ff binary");
});

test("a slow reader can't restore what was invalidated", async () => {
  const { cache, key } = await openTestCache();
  await filled(cache, key, [1, 1], "old");
  await cache.invalidate([{ key, revision: [0, 2] }]);
  expect(await cache.get(key)).toBeUndefined();
  await cache.fill(key, [1, 1], bytes("old"));
  expect(await cache.get(key)).toBeUndefined();
  await cache.fill(key, [1, 2], bytes("new"));
  expect(Buffer.from((await cache.get(key))!).toString()).toBe("new");
});

test("two writers mark what each has changed, and a reader that saw only one of the changes can't restore that", async () => {
  const { cache, key } = await openTestCache();
  await filled(cache, key, [1, 1], "old");
  await cache.invalidate([{ key, revision: [2, 0] }]);
  await cache.invalidate([{ key, revision: [0, 2] }]);
  for (const half of [
    [2, 1],
    [1, 2],
  ] as const)
    await cache.fill(key, half, bytes("half old"));
  expect(await cache.get(key)).toBeUndefined();
  await filled(cache, key, [2, 2], "new");
});

test("a mark that comes late leaves what is newer", async () => {
  const { cache, key } = await openTestCache();
  await filled(cache, key, [1, 3], "new");
  await cache.invalidate([{ key, revision: [0, 2] }]);
  expect(Buffer.from((await cache.get(key))!).toString()).toBe("new");
});

test("without Redis it finds nothing, keeps nothing and fails nothing", async () => {
  const { cache, key } = await openTestCache("redis://127.0.0.1:1");
  await cache.fill(key, [1, 1], bytes("value"));
  await cache.invalidate([{ key, revision: [1, 1] }]);
  expect(await cache.get(key)).toBeUndefined();
});
