import { fork } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";

const script = join(resolve(import.meta.dirname, "../.."), "tests/resilience/chaos.ts");

/** One fault run in a child process; returns the report of tests/resilience/chaos.ts. */
export async function runChaosOnce(settings: Readonly<Record<string, unknown>>): Promise<unknown> {
  const run = fork(script, [JSON.stringify(settings)]);
  const stopped = once(run, "exit");
  const answer = new Promise<unknown>((resolve) => run.once("message", resolve));
  const report = await Promise.race([answer, stopped.then(() => undefined)]);
  if (report === undefined) throw new Error(`the fault run ended without an answer: ${JSON.stringify(settings)}`);
  await stopped;
  return report;
}
