import { expect, test } from "vitest";
import { createBatchedRead } from "./batched-read.ts";

/** Values that grow with each read; reads complete when the test says so. */
function openValues(maxKeys = 10) {
  const reads: { readonly keys: readonly string[]; done(error?: Error): void }[] = [];
  let version = 0;
  const read = createBatchedRead<string, string>({
    name: "test",
    maxKeys,
    read(keys) {
      const read = ++version;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      reads.push({ keys, done: (error) => (error === undefined ? resolve() : reject(error)) });
      return promise.then(() => new Map(keys.filter((key) => key !== "absent").map((key) => [key, `${key}${read}`])));
    },
  });
  return { read, reads, turn: () => new Promise(setImmediate) };
}

test("requests that arrive together are one read with each key once", async () => {
  const { read, reads, turn } = openValues();
  const all = Promise.all(["a", "b", "a", "absent"].map(read));
  await turn();
  expect(reads.map(({ keys }) => keys)).toEqual([["a", "b", "absent"]]);
  reads[0]!.done();
  expect(await all).toEqual(["a1", "b1", "a1", undefined]);
});

test("a request does not join a read that has begun, so it sees every change before it", async () => {
  const { read, reads, turn } = openValues();
  const first = read("a");
  await turn();
  const second = read("a");
  await turn();
  for (const { done } of reads) done();
  expect(await Promise.all([first, second])).toEqual(["a1", "a2"]);
});

test("a failed read rejects its requests and no others", async () => {
  const { read, reads, turn } = openValues(1);
  const [failing, other] = [read("a"), read("b")];
  await turn();
  reads[0]!.done(new Error("the database is down"));
  reads[1]!.done();
  await expect(failing).rejects.toThrow("the database is down");
  expect(await other).toBe("b2");
});
