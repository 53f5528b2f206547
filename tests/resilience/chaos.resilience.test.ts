import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { convergeWithinMs, describeRun, type RunResult, runChaos } from "./run.ts";

// Takes two minutes: the faults last for 75 s, so that every victim is hit twice; starting twelve processes and
// settling afterwards take the rest.
//
// Every run of the suite has the same schedule; `npm run bench -- chaos` runs others, longer.
const seed = 20_261;
const faultSeconds = 75;

describe("the split shop, while its processes are killed and paused", () => {
  let run: RunResult;

  beforeAll(async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "shop-chaos-"));
    run = await runChaos({
      seed,
      faultSeconds,
      buyers: 24,
      products: 40,
      stock: 60,
      dataDir,
      root: resolve(import.meta.dirname, "../.."),
      log: (line) => console.log(line),
    });
    console.log(describeRun(run));
    if (run.problems.length === 0 && run.faultLog.diedAlone.length === 0)
      await rm(dataDir, { recursive: true, force: true });
    else console.log(`its data and logs are in ${dataDir}`);
  }, 360_000);

  test("is hit, and keeps selling", () => {
    expect(run.faultLog.injected.length).toBeGreaterThan(15);
    expect(run.observed.orders.length).toBeGreaterThan(100);
  });

  test("loses no accepted order, duplicates none, oversells no product, and ends every order", () => {
    expect(run.problems).toEqual([]);
  });

  test("converges within 30 s of the last fault", () => {
    expect(run.convergedMs).toBeLessThan(convergeWithinMs);
  });

  test("no process dies because another one did", () => {
    expect(run.faultLog.diedAlone).toEqual([]);
  });
});
