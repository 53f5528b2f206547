import { serveTraces } from "@shop/tools/traces";
import { mean } from "./mean.ts";
import { median } from "./median.ts";
import { exactness } from "./order-ends.ts";
import { loadOrders, type OrderLoad } from "./order-load.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 200;
const warmUpSeconds = 15;
const usualConnections = 64;
const usualSeconds = 12;
/** Below what the shop could take, so that batches have the same size in all turns. */
const ordersPerSecond = 400;

/** How the shops of this bench trace. */
const shares = { off: undefined, unsampled: 0, sampled: 0.1 } as const;
type Tracing = keyof typeof shares;

/** What a shop needs for a turn. */
interface Subject {
  readonly shop: Shop;
  readonly shopping: Shopping;
  readonly productIds: readonly string[];
}

/** Processor time of an order without tracing, with it but not sampled, and with a tenth sampled, in turns. */
export async function benchTraces(settings: BenchSettings): Promise<string> {
  const { rounds, seconds = usualSeconds, connections = usualConnections } = settings;
  const receiver = await serveTraces(0);
  const env = (share: number | undefined): Record<string, string> =>
    share === undefined
      ? {}
      : {
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
          OTEL_TRACES_SAMPLER_ARG: String(share),
        };
  const withAll = async (
    left: readonly Tracing[],
    opened: ReadonlyMap<Tracing, Subject>,
    work: (subjects: ReadonlyMap<Tracing, Subject>) => Promise<string>,
  ): Promise<string> => {
    const [tracing, ...others] = left;
    if (tracing === undefined) return await work(opened);
    return await withShop(
      productCount,
      async (shop, shopping, productIds) =>
        await withAll(others, new Map([...opened, [tracing, { shop, shopping, productIds }]]), work),
      env(shares[tracing]),
    );
  };
  try {
    return await withAll(Object.keys(shares) as Tracing[], new Map(), async (subjects) => {
      const turnOf = ({ shop, shopping, productIds }: Subject, duration: number) =>
        loadOrders(shop, shopping, productIds, { connections, seconds: duration, callsPerSecond: ordersPerSecond });
      for (const subject of subjects.values()) await turnOf(subject, warmUpSeconds);
      const turns = new Map<Tracing, OrderLoad[]>([...subjects.keys()].map((tracing) => [tracing, []]));
      for (let round = 0; round < rounds; round++) {
        for (const [tracing, subject] of subjects) turns.get(tracing)!.push(await turnOf(subject, seconds));
        console.log(
          [...turns].map(([tracing, all]) => `${tracing} ${perOrderUs(all.at(-1)!).toFixed(0)} us`).join(", "),
        );
      }
      return describe(turns, receiver.store.all().length, { seconds, rounds, connections });
    });
  } finally {
    await receiver.close();
  }
}

function perOrderUs({ cpuMs, ok }: OrderLoad): number {
  return (cpuMs["all-in-one"] * 1000) / ok;
}

/** The median over rounds of the ratio to the turn without tracing. */
function ratioOf(turns: readonly OrderLoad[], off: readonly OrderLoad[]): number {
  return median(turns.map((turn, round) => perOrderUs(turn) / perOrderUs(off[round]!)));
}

function describe(
  turns: ReadonlyMap<Tracing, readonly OrderLoad[]>,
  spans: number,
  { seconds, rounds, connections }: { readonly seconds: number; readonly rounds: number; readonly connections: number },
): string {
  const names: Readonly<Record<Tracing, string>> = {
    off: "off",
    unsampled: "on, nothing sampled",
    sampled: "on, 10% sampled",
  };
  const rows = [...turns].map(([tracing, all]) => [
    names[tracing],
    mean(all.map(perOrderUs)).toFixed(0),
    all.map((turn) => perOrderUs(turn).toFixed(0)).join(", "),
    `${((ratioOf(all, turns.get("off")!) - 1) * 100).toFixed(1)}%`,
    mean(all.map(({ p50Ms }) => p50Ms)).toFixed(1),
    mean(all.map(({ p99Ms }) => p99Ms)).toFixed(1),
    all.map(({ stockTaken, ends }) => exactness(stockTaken, ends)).join(", "),
  ]);
  return [
    `Three shops in one process each, on their own servers, one under load at a time: ${ordersPerSecond} orders/s over ${connections} connections,`,
    `one line each over ${productCount} products. ${rounds} rounds of ${seconds} s each, off, unsampled and sampled in turn, after ${warmUpSeconds} s to warm up.`,
    "Processor time of the shop's process from `/proc`, the export of spans to an OTLP receiver included, the receiver not. The increase is",
    `the median over rounds of the ratio to the turn without tracing. The receiver held ${spans} spans at the end.`,
    "",
    ...table(["tracing", "us per order", "each turn", "increase", "answer p50 ms", "p99 ms", "stock"], rows),
  ].join("\n");
}
