import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { processNames } from "@shop/topology";
import { percentile } from "./percentile.ts";
import { residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import { startShop } from "./shop.ts";
import { table } from "./table.ts";

const restMs = 10_000;
const topologies = [
  { flags: [], processes: ["supervisor", "all-in-one"] },
  { flags: ["--split"], processes: ["supervisor", ...processNames] },
] as const;

/** The duration of `npm start` until an order could be placed, and the memory of the processes at rest. */
export async function benchStart({ runs }: BenchSettings): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "shop-bench-"));
  try {
    const [cold, ...warm] = await measure(dataDir, 1 + runs);
    const rows = [cold!, ...warm].map((ms, index) => [index === 0 ? "on empty data" : `warm ${index}`, seconds(ms)]);
    const median = percentile(
      warm.toSorted((a, b) => a - b),
      0.5,
    );
    return [
      "From running `npm start` (one process; servers and packages are installed) to the first 200 of `GET /readyz` at the",
      "gateway, polled every 10 ms. The first run initiates an empty replica set; the others start with existing data.",
      "",
      ...table(["run", "seconds"], rows),
      "",
      `**Warm start to ready: median ${seconds(median)} s** of ${warm.length}.`,
      "",
      `Resident memory on existing data, ${restMs / 1000} s after the start:`,
      "",
      ...table(["process", "MiB"], await memoryAtRest(dataDir)),
    ].join("\n");
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measure(dataDir: string, times: number): Promise<number[]> {
  const readyMs: number[] = [];
  while (readyMs.length < times) {
    const shop = await startShop(dataDir);
    readyMs.push(shop.readyMs);
    console.log(`ready in ${seconds(shop.readyMs)} s`);
    await shop.settled();
    await shop.stop();
  }
  return readyMs;
}

async function memoryAtRest(dataDir: string): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { flags, processes } of topologies) {
    const shop = await startShop(dataDir, {}, flags);
    await shop.settled();
    await delay(restMs);
    for (const name of processes) {
      rows.push([[name, ...flags].join(" "), (residentBytes(shop.pidOf(name)) / 1_048_576).toFixed(0)]);
    }
    await shop.stop();
  }
  return rows;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
