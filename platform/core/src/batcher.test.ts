import { expect, test } from "vitest";
import { createBatcher } from "./batcher.ts";

/** Work whose batches complete when the test says so. */
function openWork(maxItems: number, maxInFlight: number) {
  const batches: { readonly items: readonly number[]; done(failed?: ReadonlyMap<number, unknown>): void }[] = [];
  const add = createBatcher<number>({
    name: "test",
    maxItems,
    maxInFlight,
    work: (items) => new Promise((done) => batches.push({ items, done: (failed = new Map()) => done(failed) })),
  });
  const turn = () => new Promise(setImmediate);
  return { batches, add, turn, items: () => batches.map(({ items }) => items) };
}

test("items of one turn are one batch, and items that arrive during it are the next", async () => {
  const { batches, add, turn, items } = openWork(10, 1);
  const done = [add(1), add(2)];
  await turn();
  done.push(add(3), add(4));
  await turn();
  expect(items()).toEqual([[1, 2]]);
  batches[0]!.done();
  await turn();
  expect(items()).toEqual([
    [1, 2],
    [3, 4],
  ]);
  batches[1]!.done();
  await Promise.all(done);
});

test("the size of a batch and the number of batches in progress are bounded", async () => {
  const { batches, add, turn, items } = openWork(2, 2);
  const done = Promise.all([1, 2, 3, 4, 5].map(add));
  await turn();
  expect(items()).toEqual([
    [1, 2],
    [3, 4],
  ]);
  for (const batch of batches) batch.done();
  await turn();
  expect(items().at(-1)).toEqual([5]);
  batches.at(-1)!.done();
  await done;
});

test("each caller gets the result of its own item", async () => {
  const { batches, add, turn } = openWork(10, 1);
  const done = Promise.allSettled([add(1), add(2)]);
  await turn();
  batches[0]!.done(new Map([[1, "refused"]]));
  expect(await done).toEqual([
    { status: "fulfilled", value: undefined },
    { status: "rejected", reason: "refused" },
  ]);
});
