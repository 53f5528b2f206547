import { readmeExample } from "@shop/http-port/testing/readme-example";
import { openTestDb } from "@shop/runtime/testing";
import type { Db } from "mongodb";
import { expect, test } from "vitest";

interface Example {
  openReadings(db: Db, holder: string): { keep(id: string, value: number): Promise<unknown>; count(): Promise<number> };
}

test("the README's example stores each reading once, and only the lease holder counts", async () => {
  const { openReadings } = await readmeExample<Example>("@shop/mongo", import.meta.dirname);
  const db = await openTestDb();
  const [one, other] = [openReadings(db, "one"), openReadings(db, "other")];
  await Promise.all([one.keep("a", 1), one.keep("b", 2), other.keep("a", 1)]);
  expect([await one.count(), await other.count()]).toEqual([2, undefined]);
});
