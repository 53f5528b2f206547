// One run in a process of its own: `node tests/resilience/chaos.ts '{"seed":1,"faultSeconds":60}'`. With an IPC channel it
// sends the result to its parent. `"mutant":"no outbox sweeper"` plants that bug first (mutants.ts), and creates the
// conditions that expose it: the run has to end with 1. `"under":"many concurrent customers"` creates them without a bug.
// `"victims":"orders"` hits only those (nemesis.ts). `"list":true` sends the mutants that can be run. `"keep":true` keeps
// data and logs.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { conditions, mutants, plant } from "./mutants.ts";
import { victimGroups } from "./nemesis.ts";
import { describeRun, type RunResult, type RunSettings, runChaos } from "./run.ts";

// Started processes end when this process exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const asked = JSON.parse(process.argv[2] ?? "{}") as Partial<RunSettings> & {
  keep?: boolean;
  mutant?: string;
  under?: keyof typeof conditions;
  victims?: string;
  list?: boolean;
};
if (asked.list === true) {
  const unharmed = Object.keys(conditions).map((under) => ({ under }));
  const all = [...unharmed, ...mutants.map(({ name, under }) => ({ mutant: name, under }))];
  await new Promise((resolve) => process.send!(all, resolve));
  process.exit();
}
const root = resolve(import.meta.dirname, "../..");
const mutant = mutants.find(({ name }) => name === asked.mutant);
if (asked.mutant !== undefined && mutant === undefined) throw new Error(`unknown mutant ${asked.mutant}`);
const victims = asked.victims === undefined ? undefined : victimGroups[asked.victims];
if (asked.victims !== undefined && victims === undefined) throw new Error(`unknown victims ${asked.victims}`);
const copy = mutant && plant(mutant, root);
const under = mutant?.under ?? asked.under;
const dataDir = mkdtempSync(join(tmpdir(), "shop-chaos-"));
const result = await runChaos({
  seed: Math.floor(Math.random() * 2 ** 31),
  faultSeconds: 75,
  buyers: 24,
  products: 40,
  stock: 100,
  root: copy ?? root,
  ...(under && conditions[under]),
  ...(victims && { faults: { victims } }),
  ...asked,
  dataDir,
  log: (line) => console.log(line),
});
console.log(describeRun(result));
if (copy !== undefined) rmSync(copy, { recursive: true, force: true });
const isGood = result.problems.length === 0 && result.faultLog.diedAlone.length === 0;
if ((isGood || mutant !== undefined) && asked.keep !== true) rmSync(dataDir, { recursive: true, force: true });
else console.log(`its data and logs are in ${dataDir}`);
// A long run's report is long, and disconnecting at once may truncate it.
if (process.send !== undefined) await new Promise((sent) => process.send!(reportOf(result), sent));
process.disconnect?.();
process.exitCode = isGood ? 0 : 1;

/** The part of the result for bench/src/chaos-bench.ts; the whole would be too large for a message. */
function reportOf({ seed, faultLog, history, observed, problems, convergedMs, decided }: RunResult) {
  const firstAnswers = new Map<string, number>();
  for (const answer of history.requests.flatMap(({ answers }) => answers)) {
    if (answer.kind !== "accepted") continue;
    firstAnswers.set(answer.orderId, Math.min(answer.at, firstAnswers.get(answer.orderId) ?? answer.at));
  }
  const statuses = Object.entries(Object.groupBy(observed.orders, ({ status }) => status));
  return {
    seed,
    injected: faultLog.injected,
    diedAlone: faultLog.diedAlone,
    requests: history.requests.length,
    acceptedAt: [...firstAnswers.values()].toSorted((a, b) => a - b),
    decidedAt: decided.map(({ decidedAt }) => decidedAt).toSorted((a, b) => a - b),
    orders: Object.fromEntries(statuses.map(([status, orders]) => [status, orders!.length])),
    problems,
    convergedMs,
    decisionMs: decided.map(({ placedAt, decidedAt }) => decidedAt - placedAt).toSorted((a, b) => a - b),
  };
}
