import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type LoadResult, load, type Request, refusalsOf } from "./load.ts";
import { median } from "./median.ts";
import { untilOrdersEnded } from "./order-ends.ts";
import { processorTimeOfAllMs } from "./processor-time.ts";
import { residentBytes, residentBytesOfAll } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import { type Shop, startShop } from "./shop.ts";
import { Shopping } from "./shopping.ts";
import { table } from "./table.ts";

const productCount = 200;
const pageSize = 20;
const usualSeconds = 3;
const usualConnections = 32;
/** Until hot code is compiled. */
const warmUpSeconds = 6;
const restSeconds = 30;

/** A shape in which the shop runs. */
interface Shape {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  readonly processes: readonly string[];
}

const shapes: readonly [Shape, ...Shape[]] = [
  { name: "one process", env: {}, flags: [], processes: ["all-in-one"] },
  { name: "one process, 2 workers", env: { WORKERS: "2" }, flags: [], processes: ["all-in-one"] },
  { name: "four processes", env: {}, flags: ["--split"], processes: ["gateway", "users", "inventory", "orders"] },
];

const loads = ["GET /products/{id}", `GET /products?page_size=${pageSize}`, "CreateOrder, REST"] as const;
type LoadName = (typeof loads)[number];

interface RunningShape extends Shape {
  readonly shop: Shop;
  readonly shopping: Shopping;
  readonly productIds: readonly string[];
  readonly memoryAtRest: readonly string[];
}

interface Turn extends LoadResult {
  /** Of each process, its workers included, in microseconds per answer. */
  readonly cpuUs: readonly number[];
}

/** What the same load costs in one process, in workers, and in a process per service, in alternating turns. */
export async function benchShapes(settings: BenchSettings): Promise<string> {
  const running: RunningShape[] = [];
  try {
    for (const shape of shapes) running.push(await start(shape));
    const rows: string[][] = [];
    for (const name of loads) rows.push(...(await measure(name, running, settings)));
    return describe(rows, running, settings);
  } finally {
    for (const { shop } of running) {
      await shop.stop();
      await rm(shop.dataDir, { recursive: true, force: true });
    }
  }
}

async function start(shape: Shape): Promise<RunningShape> {
  const shop = await startShop(await mkdtemp(join(tmpdir(), "shop-bench-")), shape.env, shape.flags);
  await shop.settled();
  await delay(restSeconds * 1000);
  const memoryAtRest = [
    ...shape.processes.map((name) => `${name} ${mebibytes(residentBytesOfAll(shop.pidOf(name)))}`),
    `supervisor ${mebibytes(residentBytes(shop.pidOf("supervisor")))}`,
  ];
  const shopping = new Shopping(shop.url);
  return { ...shape, shop, shopping, productIds: await shopping.addProducts(productCount), memoryAtRest };
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}

async function measure(name: LoadName, running: readonly RunningShape[], settings: BenchSettings): Promise<string[][]> {
  const { rounds, seconds = usualSeconds, connections = usualConnections } = settings;
  const turns = running.map((): Turn[] => []);
  for (const shape of running) await takeTurn(name, shape, connections, warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    for (const [index, shape] of running.entries())
      turns[index]!.push(await takeTurn(name, shape, connections, seconds));
  }
  const first = turns[0]!;
  const ratios = (own: readonly Turn[], of: (turn: Turn) => number) =>
    median(own.map((turn, round) => of(turn) / of(first[round]!))).toFixed(2);
  const rows = running.map((shape, index) => {
    const own = turns[index]!;
    const parts = shape.processes.map(
      (process, at) => `${process} ${median(own.map(({ cpuUs }) => cpuUs[at]!)).toFixed(0)}`,
    );
    return [
      `${name}: ${shape.name}`,
      median(own.map(cpuOf)).toFixed(0),
      shape.processes.length === 1 ? "" : parts.join(", "),
      ratios(own, cpuOf),
      median(own.map(({ perSecond }) => perSecond)).toFixed(0),
      ratios(own, ({ perSecond }) => perSecond),
      median(own.map(({ p99Ms }) => p99Ms)).toFixed(1),
      own.map(refusalsOf).join("; "),
    ];
  });
  for (const row of rows) console.log(row.join("  "));
  return rows;
}

function cpuOf({ cpuUs }: Turn): number {
  return cpuUs.reduce((a, b) => a + b);
}

/** Orders are counted with the work of their events, until all of them have a final status. */
async function takeTurn(name: LoadName, shape: RunningShape, connections: number, seconds: number): Promise<Turn> {
  const { shop, shopping, productIds } = shape;
  const token = await shopping.newShopper();
  const usedMs = () => shape.processes.map((process) => processorTimeOfAllMs(shop.pidOf(process)));
  const before = usedMs();
  const result = await load({ url: shop.url, requests: requestsOf(name, productIds, token), connections, seconds });
  if (result.orders.length > 0) await untilOrdersEnded(shopping, token, new Map(result.orders));
  return { ...result, cpuUs: usedMs().map((ms, index) => ((ms - before[index]!) * 1000) / result.ok) };
}

function requestsOf(name: LoadName, productIds: readonly string[], token: string): readonly Request[] {
  if (name === "GET /products/{id}") return productIds.map((id) => ({ method: "GET", path: `/products/${id}` }));
  if (name !== "CreateOrder, REST") return [{ method: "GET", path: `/products?page_size=${pageSize}` }];
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return productIds.map((product_id) => {
    return { method: "POST", path: "/orders", headers, body: JSON.stringify({ items: [{ product_id, quantity: 1 }] }) };
  });
}

function describe(
  rows: readonly string[][],
  running: readonly RunningShape[],
  { rounds, seconds = usualSeconds, connections = usualConnections }: BenchSettings,
): string {
  return [
    `The same load on the shop in each shape, all of them running, in alternating turns of ${seconds} s, ${rounds} each, after ${warmUpSeconds} s to warm`,
    `up; ${connections} connections over HTTP/1.1 from a process of its own, ${productCount} products in turn. Processor time is that of the shop's`,
    "processes per answer, workers included, databases not; orders include the work of their events. Medians, and ratios to one process",
    "as medians of those of each round. Load, databases and shop share the machine's cores.",
    "",
    ...table(["", "CPU, us/call", "of these", "ratio", "calls/s", "ratio", "p99 ms", "not 200"], rows),
    "",
    `Resident memory in MiB ${restSeconds} s after the start: ${running.map(({ name, memoryAtRest }) => `${name}: ${memoryAtRest.join(", ")}`).join("; ")}.`,
  ].join("\n");
}
