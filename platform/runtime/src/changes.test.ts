import type { NoticeListener } from "@shop/messaging";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createChanges } from "./changes.ts";
import { silentLog } from "./testing/index.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Documents with versions, notices that the test sends, and subscribers that read when they are woken. */
function openDocuments(count = 1) {
  const versions = new Map(Array.from({ length: count }, (_, n) => [`doc_${n}`, 1]));
  const queries: string[][] = [];
  let listener: NoticeListener | undefined;
  let isLive = true;
  let failure: Error | undefined;
  const changes = createChanges({
    notices: {
      listen(listening) {
        listener = listening;
        return () => {
          listener = undefined;
        };
      },
      isLive: () => isLive,
    },
    async versionsOf(ids) {
      queries.push([...ids]);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (failure !== undefined) throw failure;
      return new Map(ids.flatMap((id) => (versions.has(id) ? [[id, versions.get(id)!]] : [])));
    },
    log: silentLog,
    pollMs: 2_000,
    recheckMs: 30_000,
  });
  const woken: string[] = [];
  const subscribe = (id: string) => {
    let version = versions.get(id);
    return changes.subscribe(id, {
      version: () => version,
      wake() {
        woken.push(id);
        version = versions.get(id);
      },
    });
  };
  return {
    versions,
    queries,
    subscribe,
    woken: () => woken.splice(0),
    notices: () => listener!,
    isListening: () => listener !== undefined,
    break: () => {
      isLive = false;
    },
    fail: (error: Error | undefined) => {
      failure = error;
    },
    after: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
}

test("a notice wakes the subscribers of its documents, and no others", () => {
  const { subscribe, notices, woken } = openDocuments(3);
  for (const id of ["doc_0", "doc_0", "doc_1"]) subscribe(id);
  notices().changed(["doc_0", "doc_2"]);
  expect(woken()).toEqual(["doc_0", "doc_0"]);
});

test("after lost notices those that are behind are woken, found in batches by one query at a time", async () => {
  const { versions, queries, subscribe, notices, woken, after } = openDocuments(1_200);
  for (const id of versions.keys()) subscribe(id);
  versions.set("doc_7", 2).set("doc_1100", 3).delete("doc_600");
  notices().missed();
  expect(queries).toHaveLength(1);
  await after(10);
  expect(queries.map((ids) => ids.length)).toEqual([500, 500, 200]);
  expect(woken()).toEqual(["doc_7", "doc_600", "doc_1100"]);
});

test("notices lost during a comparison cause another one, however many were lost", async () => {
  const { queries, subscribe, notices, after } = openDocuments();
  subscribe("doc_0");
  for (let n = 0; n < 10; n++) notices().missed();
  await after(10);
  expect(queries).toHaveLength(2);
});

test("without notices versions are compared every two seconds", async () => {
  const { versions, subscribe, woken, after, ...on } = openDocuments();
  subscribe("doc_0");
  on.break();
  for (let version = 2; version < 10; version++) {
    versions.set("doc_0", version);
    await after(2_001);
    expect(woken()).toEqual(["doc_0"]);
  }
});

test("with notices versions are compared every 30 seconds", async () => {
  const { versions, queries, subscribe, woken, after } = openDocuments();
  subscribe("doc_0");
  await after(2_001);
  queries.length = 0;
  versions.set("doc_0", 2);
  await after(27_999);
  expect(queries).toHaveLength(0);
  await after(2_001);
  expect(woken()).toEqual(["doc_0"]);
});

test("while the database can't be read all subscribers are woken, so that their own reads report it", async () => {
  const { subscribe, notices, woken, after, ...on } = openDocuments(2);
  for (const id of ["doc_0", "doc_1"]) subscribe(id);
  on.fail(new Error("the database is down"));
  notices().missed();
  await after(10);
  expect(woken()).toEqual(["doc_0", "doc_1"]);
  on.fail(undefined);
  notices().missed();
  await after(10);
  expect(woken()).toEqual([]);
});

test("a process listens while it has subscribers", async () => {
  const { queries, subscribe, isListening, after } = openDocuments();
  expect(isListening()).toBe(false);
  const [one, another] = [subscribe("doc_0"), subscribe("doc_0")];
  expect(isListening()).toBe(true);
  one();
  one();
  expect(isListening()).toBe(true);
  another();
  expect(isListening()).toBe(false);
  queries.length = 0;
  await after(120_000);
  expect(queries).toEqual([]);
});
