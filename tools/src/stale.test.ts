import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { claim } from "./claim.ts";
import { processStamp } from "./process-stamp.ts";
import { openRunFile } from "./run-file.ts";
import { stopStale } from "./stale.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

function sleeper(): number {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child.pid!;
}

test("a process that an earlier run recorded is stopped and its record removed", async () => {
  const path = join(temporaryFolder(), "run.json");
  const pid = sleeper();
  openRunFile(path).add({ name: "left", pid, ports: [] });
  const runFile = openRunFile(path);
  await stopStale(runFile, () => {});
  expect(processStamp(pid)).toBeUndefined();
  expect(runFile.processes).toEqual([]);
});

test("another process with a recorded pid is not touched", async () => {
  const path = join(temporaryFolder(), "run.json");
  const pid = sleeper();
  writeFileSync(path, JSON.stringify({ processes: [{ name: "old", pid, ports: [], stamp: "another start" }] }));
  const runFile = openRunFile(path);
  await stopStale(runFile, () => {});
  expect(processStamp(pid)).toBeDefined();
  expect(runFile.processes).toEqual([]);
});

test("a folder has one holder; the lock of a dead process is taken over", () => {
  const path = join(temporaryFolder(), "lock");
  const mine = claim(path);
  expect(claim(path)).toEqual({ heldBy: process.pid });
  if ("release" in mine) mine.release();
  writeFileSync(path, JSON.stringify({ pid: process.pid, stamp: "an earlier process of this pid" }));
  expect(claim(path)).toHaveProperty("release");
});
