import { createLease } from "@shop/mongo";
import { expect, onTestFinished, test } from "vitest";
import { startJob } from "./jobs.ts";
import { openTestDb, silentLog } from "./testing/index.ts";

test("a job that fails in one process runs in another one, before its lease expires", async () => {
  const db = await openTestDb();
  const leaseOf = (holder: string) => createLease(db, "job", holder, 600_000);
  let [failures, runs] = [0, 0];
  const failing = async () => {
    failures++;
    throw new Error("a dependency is missing");
  };
  const job = { name: "job", intervalMs: 100 };
  onTestFinished(startJob({ ...job, lease: leaseOf("cut off"), run: failing }, silentLog));
  await expect.poll(() => failures).toBeGreaterThan(0);
  onTestFinished(startJob({ ...job, lease: leaseOf("healthy"), run: async () => void runs++ }, silentLog));
  await expect.poll(() => runs, { timeout: 10_000 }).toBeGreaterThan(0);
});
