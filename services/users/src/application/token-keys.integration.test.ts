import { newSecret } from "@shop/core";
import { openTestDb, silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { createSealer } from "../adapters/crypto/sealing.ts";
import { openTokenKeyStore } from "../adapters/mongo/token-key-store.ts";
import { keyRotation } from "../domain/token-key.ts";
import { openTokenKeys } from "./token-keys.ts";

const [minuteMs, dayMs] = [60_000, 24 * 60 * 60_000];

/** Processes that share a database, and a clock that only `advance` moves. */
async function openProcesses() {
  const db = await openTestDb();
  const sealer = createSealer(newSecret());
  let now = Date.now();
  const open = async (sealedWith = sealer) =>
    await openTokenKeys({
      store: await openTokenKeyStore(db),
      sealer: sealedWith,
      rotation: keyRotation(30 * dayMs, 10 * minuteMs),
      clock: () => new Date(now),
      log: silentLog,
    });
  const kidsOf = async (keys: Awaited<ReturnType<typeof open>>) => (await keys.list()).map(({ kid }) => kid);
  return {
    db,
    open,
    kidsOf,
    advance(ms: number) {
      now += ms;
    },
  };
}

test("processes that start concurrently or later share one key", async () => {
  const { open } = await openProcesses();
  const first = await Promise.all([open(), open(), open()]);
  const kids = [...first, await open()].map(({ signing }) => signing.kid);
  expect(new Set(kids).size).toBe(1);
});

test("the private key can't be read in the database", async () => {
  const { db, open } = await openProcesses();
  const { signing } = await open();
  const documents = await db.collection("signing_keys").find().toArray();
  expect(documents).toHaveLength(1);
  const text = JSON.stringify(documents, (_, value) =>
    value?.buffer ? Buffer.from(value.buffer).toString("latin1") : value,
  );
  expect(text).toContain(signing.x);
  expect(text).not.toContain(signing.d);
  expect(text).not.toContain(Buffer.from(signing.d!, "base64url").toString("latin1"));
});

test("a key is published ten minutes before it signs, and until its tokens have expired", async () => {
  const { open, kidsOf, advance } = await openProcesses();
  const [rotator, other] = [await open(), await open()];
  const { kid: first } = rotator.signing;
  advance(30 * dayMs - 10 * minuteMs - 1);
  await rotator.rotate();
  expect(await kidsOf(rotator)).toEqual([first]);

  advance(1);
  await Promise.all([rotator.rotate(), other.rotate()]);
  await other.read();
  const [signing, second, ...rest] = await kidsOf(other);
  expect([signing, rest]).toEqual([first, []]);
  expect([rotator.signing.kid, other.signing.kid]).toEqual([first, first]);

  advance(10 * minuteMs);
  expect([rotator.signing.kid, other.signing.kid]).toEqual([second, second]);
  await rotator.rotate();
  expect(await kidsOf(rotator)).toEqual([second, first]);

  advance(20 * minuteMs + 1);
  await rotator.rotate();
  expect(await kidsOf(rotator)).toEqual([second]);
});

test("a process with another secret generates its own key, and still publishes the keys that it can't use", async () => {
  const { open, kidsOf } = await openProcesses();
  const { kid } = (await open()).signing;
  const stranger = await open(createSealer(newSecret()));
  expect(stranger.signing.kid).not.toBe(kid);
  expect(await kidsOf(stranger)).toEqual([stranger.signing.kid, kid]);
});

test("an unsealed key of an early release is deleted", async () => {
  const { db, open, kidsOf } = await openProcesses();
  await db
    .collection<{ _id: string }>("signing_keys")
    .insertOne({ _id: "old", jwk: { kid: "old" } } as { _id: string });
  const keys = await open();
  expect(await kidsOf(keys)).toEqual([keys.signing.kid]);
});
