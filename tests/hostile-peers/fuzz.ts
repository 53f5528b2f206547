// A program for `npm run bench -- fuzz`: fuzzes the ports of a running shop, and sends the result to its parent process.
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../resilience/random.ts";
import { fuzzedPlay } from "./fuzzer.ts";
import { playAll } from "./play.ts";
import type { Paths } from "./requests.ts";
import { readVitals } from "./survival.ts";

interface FuzzTask {
  readonly seed: number;
  readonly seconds: number;
  readonly targets: readonly { readonly port: number; readonly paths: Paths }[];
  readonly metricsUrl: string;
}

const concurrency = 24;
/** Until code is compiled and caches are filled. */
const warmUpSeconds = 10;
/** For the shop's time limits to close connections, and for garbage collection. */
const calmSeconds = 30;

const task = JSON.parse(process.argv[2]!) as FuzzTask;
const random = seededRandom(task.seed);

async function fuzz(seconds: number) {
  const until = performance.now() + seconds * 1_000;
  const plays = (function* () {
    while (performance.now() < until) {
      const { port, paths } = random.pick(task.targets);
      yield { ...fuzzedPlay(paths, random), port };
    }
  })();
  return await playAll(plays, concurrency);
}

await fuzz(Math.min(warmUpSeconds, task.seconds));
const before = await readVitals(task.metricsUrl);
const { played, answered } = await fuzz(task.seconds);
await delay(calmSeconds * 1_000);
const after = await readVitals(task.metricsUrl);
process.send!({ played, answered, before, after }, () => process.disconnect());
