import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { goProgram } from "@shop/tools/infra";
import { afterAll, expect, test } from "vitest";

// Takes about a minute for each of the four: 2,718 cases, some of which wait for a deadline.

/** Pinned, with the contract in proto/: another version has other cases. */
const program = "connectrpc.com/conformance/cmd/connectconformance@v1.0.7";
/** The number of cases that config.yaml selects: fewer would mean that some no longer run. */
const cases = 2718;

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "shop-conformance-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const runner = await goProgram(program, { log: console.log, env: process.env }).catch((error: Error) => error);
// In CI a suite that could not run has failed.
const mustRun = process.env.CI === "true";
if (runner instanceof Error && !mustRun) console.log(`the conformance suite is skipped: ${runner.message}`);

test.skipIf(runner instanceof Error && !mustRun).for([
  ["through the forwarder", "gateway"],
  ["on a port of the platform", "direct"],
  ["on a multiplexed connection between two ports of the platform", "multiplexed"],
  ["on a port of the platform by Connect's own handlers", "fallback"],
] as const)("the Connect conformance suite passes %s", { timeout: 580_000 }, async ([, how]) => {
  if (runner instanceof Error) throw runner;
  const descriptorSet = join(scratch, "conformance.binpb");
  const contract = join(import.meta.dirname, "proto");
  execFileSync(join(root, "node_modules/.bin/buf"), ["build", contract, "--output", descriptorSet]);

  const said = await run(runner, [
    ...["--mode", "server", "--conf", join(import.meta.dirname, "config.yaml")],
    ...["--parallel", "4", "--max-servers", "1", "-v"],
    ...["--", process.execPath, join(import.meta.dirname, "server.ts"), how, descriptorSet],
  ]);
  expect(said.filter((line) => line.startsWith("FAILED"))).toEqual([]);
  expect(said.at(-1)).toBe(`${cases} passed, 0 failed`);
});

/** The lines of a command's output; progress lines are also printed immediately. */
async function run(command: string, args: readonly string[]): Promise<string[]> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.trim() !== "") lines.push(line);
    if (line.startsWith("Running") || line.startsWith("FAILED")) console.log(line);
  }
  await exited;
  return lines;
}
