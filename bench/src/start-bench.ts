import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { processNames } from "@shop/topology";
import { load, refusalsOf } from "./load.ts";
import { median } from "./median.ts";
import { proportionalBytes, residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import { type Shop, startShop } from "./shop.ts";
import { table } from "./table.ts";

const restMs = 30_000;
const firstSeconds = 2;
const warmUpSeconds = 6;
const connections = 32;
const topologies = [
  { flags: [], processes: ["supervisor", "all-in-one"] },
  { flags: ["--split"], processes: ["supervisor", ...processNames] },
] as const;

interface Start {
  readonly readyMs: number;
  /** Reads per second in the first seconds after it was ready. */
  readonly first: number;
  /** Reads per second once hot code is compiled. */
  readonly steady: number;
}

/** The duration of `npm start` until an order could be placed, the rate of the first reads, and the memory of the processes at rest. */
export async function benchStart({ runs }: BenchSettings): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "shop-bench-"));
  try {
    const [cold, ...warm] = await measure(dataDir, 1 + runs);
    const rows = [cold!, ...warm].map(({ readyMs, first, steady }, index) => [
      index === 0 ? "on empty data" : `warm ${index}`,
      seconds(readyMs),
      first.toFixed(0),
      steady.toFixed(0),
      (first / steady).toFixed(2),
    ]);
    return [
      "From running `npm start` (one process; servers and packages are installed) to the first 200 of `GET /readyz` at the",
      "gateway, polled every 10 ms. The first run initiates an empty replica set; the others start with existing data.",
      `Then \`GET /products/{id}\` of all products in turn, over ${connections} connections from a process of its own: in the first ${firstSeconds} s, and for as long`,
      `after ${warmUpSeconds} s to warm up.`,
      "",
      ...table(["run", "seconds", "first reads/s", "steady reads/s", "ratio"], rows),
      "",
      `**Warm start to ready: median ${seconds(median(warm.map(({ readyMs }) => readyMs)))} s** of ${warm.length}. First reads: median ` +
        `${median(warm.map(({ first, steady }) => first / steady)).toFixed(2)} of the steady rate.`,
      "",
      `Memory in MiB on existing data, ${restMs / 1000} s after the start; in the second column, pages that processes share count in equal parts for each:`,
      "",
      ...table(["process", "RSS", "PSS"], await memoryAtRest(dataDir)),
    ].join("\n");
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measure(dataDir: string, times: number): Promise<Start[]> {
  const starts: Start[] = [];
  let productIds: readonly string[] = [];
  while (starts.length < times) {
    const shop = await startShop(dataDir);
    if (productIds.length === 0) {
      await shop.settled();
      productIds = await idsOfProducts(shop);
    }
    const first = await readsPerSecond(shop, productIds, firstSeconds);
    await readsPerSecond(shop, productIds, warmUpSeconds);
    const start = { readyMs: shop.readyMs, first, steady: await readsPerSecond(shop, productIds, firstSeconds) };
    starts.push(start);
    console.log(
      `ready in ${seconds(start.readyMs)} s, then ${first.toFixed(0)} reads/s, later ${start.steady.toFixed(0)}`,
    );
    await shop.settled();
    await shop.stop();
  }
  return starts;
}

async function idsOfProducts({ url }: Shop): Promise<readonly string[]> {
  const answer = await fetch(`${url}/products?page_size=100`);
  const { products } = (await answer.json()) as { readonly products: readonly { readonly product_id: string }[] };
  return products.map(({ product_id }) => product_id);
}

async function readsPerSecond({ url }: Shop, productIds: readonly string[], duration: number): Promise<number> {
  const requests = productIds.map((id) => ({ method: "GET" as const, path: `/products/${id}` }));
  const result = await load({ url, requests, connections, seconds: duration });
  if (result.ok === 0) throw new Error(`no read was answered with 200: ${refusalsOf(result)}`);
  return result.perSecond;
}

async function memoryAtRest(dataDir: string): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { flags, processes } of topologies) {
    const shop = await startShop(dataDir, {}, flags);
    await shop.settled();
    await delay(restMs);
    const pids = processes.map((name) => shop.pidOf(name));
    const figures = [residentBytes, proportionalBytes].map((bytesOf) => pids.map((pid) => bytesOf(pid) / 1_048_576));
    rows.push(...processes.map((name, at) => [[name, ...flags].join(" "), ...figures.map((of) => of[at]!.toFixed(0))]));
    const services = figures.map(([_supervisor, ...own]) => own.reduce((a, b) => a + b).toFixed(0));
    rows.push([["all but the supervisor", ...flags].join(" "), ...services]);
    await shop.stop();
  }
  return rows;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
