// One run in a process of its own: `node tests/resilience/chaos.ts '{"seed":1,"faultSeconds":60}'`. With an IPC channel it
// answers the result, for whoever writes reports.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describeRun, type RunSettings, runChaos } from "./run.ts";

const asked = JSON.parse(process.argv[2] ?? "{}") as Partial<RunSettings> & { keep?: boolean };
const dataDir = mkdtempSync(join(tmpdir(), "shop-chaos-"));
const result = await runChaos({
  seed: Math.floor(Math.random() * 2 ** 31),
  faultSeconds: 75,
  buyers: 12,
  products: 40,
  stock: 100,
  thinkMs: 60,
  root: resolve(import.meta.dirname, "../.."),
  ...asked,
  dataDir,
  log: (line) => console.log(line),
});
console.log(describeRun(result));
const isGood = result.problems.length === 0 && result.havoc.diedAlone.length === 0;
if (isGood && asked.keep !== true) rmSync(dataDir, { recursive: true, force: true });
else console.log(`its data and logs are in ${dataDir}`);
process.send?.(result);
process.disconnect?.();
process.exitCode = isGood ? 0 : 1;
