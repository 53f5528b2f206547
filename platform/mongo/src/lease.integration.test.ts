import { openTestDb } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { createLease } from "./lease.ts";

test("one of many processes holds a lease until it releases it", async () => {
  const db = await openTestDb();
  const leases = Array.from({ length: 8 }, (_, index) => createLease(db, "job", `process-${index}`, 60_000));
  const taken = await Promise.all(leases.map((lease) => lease.acquire()));
  expect(taken.filter(Boolean)).toHaveLength(1);
  const holder = leases[taken.indexOf(true)]!;
  expect(await holder.acquire()).toBe(true);
  await holder.release();
  const others = await Promise.all(leases.map((lease) => lease.acquire()));
  expect(others.filter(Boolean)).toHaveLength(1);
});

test("a lease whose holder died can be acquired once its TTL has passed", async () => {
  const db = await openTestDb();
  expect(await createLease(db, "job", "dead", 300).acquire()).toBe(true);
  const heir = createLease(db, "job", "heir", 60_000);
  expect(await heir.acquire()).toBe(false);
  await expect.poll(() => heir.acquire(), { timeout: 5_000 }).toBe(true);
});
