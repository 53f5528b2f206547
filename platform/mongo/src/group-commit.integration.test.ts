import { newId } from "@shop/core";
import { openTestDb } from "@shop/runtime/testing";
import { type Collection, MongoNetworkError } from "mongodb";
import { expect, test } from "vitest";
import { isDuplicateKey } from "./duplicate-key.ts";
import { createGroupCommit } from "./group-commit.ts";

interface Thing {
  _id: string;
  key: string;
}

async function openThings() {
  const things = (await openTestDb()).collection<Thing>("things");
  await things.createIndex({ key: 1 }, { name: "key", unique: true });
  return things;
}

const thing = (key = newId("key")): Thing => ({ _id: newId("thing"), key });

test("concurrent inserts are all stored, in far fewer commands", async () => {
  const things = await openThings();
  let commands = 0;
  const counted = new Proxy(things, {
    get: (target, name) => {
      if (name === "insertMany") commands++;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const insert = createGroupCommit(counted);
  await Promise.all(Array.from({ length: 1_000 }, () => insert(thing())));
  expect(await things.countDocuments()).toBe(1_000);
  expect(commands).toBeLessThan(10);
});

test("of concurrent inserts only the one that violates a unique index is rejected, with the index", async () => {
  const things = await openThings();
  const insert = createGroupCommit(things);
  await insert(thing("taken"));
  const results = await Promise.allSettled([insert(thing("a")), insert(thing("taken")), insert(thing("b"))]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  const { reason } = results[1] as PromiseRejectedResult;
  expect(isDuplicateKey(reason, "key")).toBe(true);
  expect(isDuplicateKey(reason, "_id_")).toBe(false);
  expect(await things.countDocuments()).toBe(3);
});

test("when the answer is lost each insert gets its result from the database, and none resolves without being stored", async () => {
  const things = await openThings();
  const [stored, lost] = [thing(), thing()];
  const losing = new Proxy(things, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (name !== "insertMany") return typeof value === "function" ? value.bind(target) : value;
      return async () => {
        await target.insertOne(stored);
        throw new MongoNetworkError("connection reset");
      };
    },
  }) as Collection<Thing>;
  const insert = createGroupCommit(losing);
  const results = await Promise.allSettled([insert(stored), insert(lost)]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
});
