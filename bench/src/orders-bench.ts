import { insertFloor } from "./insert-floor.ts";
import { mean } from "./mean.ts";
import { exactness, statesOf } from "./order-ends.ts";
import { loadOrders, type OrderLoad, servers } from "./order-load.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 1_000;
const warmUpSeconds = 24;
const usualConnections = 256;
/** Long compared with the last orders' time to their final status, which counts as well. */
const usualSeconds = 20;

/** Orders per second to their final status beside single inserts of the database, in turns. */
export async function benchOrders(settings: BenchSettings): Promise<string> {
  const { rounds, seconds = usualSeconds } = settings;
  const connections = settings.connections ?? usualConnections;
  return await withShop(productCount, async (shop, shopping, productIds) => {
    const floorOf = () => insertFloor({ mongoUrl: shop.mongoUrl(), concurrency: connections, seconds });
    const turnOf = (over: readonly string[]) => loadOrders(shop, shopping, over, { connections, seconds });

    await loadOrders(shop, shopping, productIds, { connections, seconds: warmUpSeconds });
    const [floors, spread, hot]: [number[], OrderLoad[], OrderLoad[]] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      floors.push((await floorOf()).perSecond);
      spread.push(await turnOf(productIds));
      hot.push(await turnOf(productIds.slice(0, 1)));
      console.log(`floor ${floors.at(-1)!.toFixed(0)}/s, ${line("spread", spread)}, ${line("hot", hot)}`);
    }
    return describe(floors, { spread, hot }, { connections, seconds, rounds });
  });
}

function describe(
  floors: readonly number[],
  { spread, hot }: { readonly spread: readonly OrderLoad[]; readonly hot: readonly OrderLoad[] },
  { connections, seconds, rounds }: { readonly connections: number; readonly seconds: number; readonly rounds: number },
): string {
  const floor = mean(floors);
  const rateOf = (turns: readonly OrderLoad[]) => mean(turns.map(({ endedPerSecond }) => endedPerSecond));
  const row = (name: string, turns: readonly OrderLoad[]) => [
    name,
    rateOf(turns).toFixed(0),
    turns.map(({ endedPerSecond }) => endedPerSecond.toFixed(0)).join(", "),
    (rateOf(turns) / floor).toFixed(2),
    mean(turns.map(({ p50Ms }) => p50Ms)).toFixed(0),
    mean(turns.map(({ p99Ms }) => p99Ms)).toFixed(0),
    mean(turns.map(({ ends }) => ends.p50Ms)).toFixed(0),
    mean(turns.map(({ ends }) => ends.p99Ms)).toFixed(0),
    turns.map(({ refused }) => Object.values(refused).reduce((a, b) => a + b, 0)).join(", "),
    turns.map(({ stockTaken, ends }) => exactness(stockTaken, ends)).join(", "),
  ];
  return [
    `${connections} connections, each sends its next order when the last is answered; orders of one line over REST at the public`,
    "port of the shop in one process. An order counts when it has a final status: the rate is all of them over the time",
    "from the start of the load to the last final status, and the latency is from the request to the final status, by one clock.",
    `**Floor**: one process inserts documents of an order's size one by one, ${connections} in flight, each acknowledged by a`,
    `majority with its journal on disk, into the same database. ${rounds} turns of ${seconds} s each, floor, spread and hot in turn, after`,
    `${warmUpSeconds} s to warm up. Load, shop, MongoDB, NATS and Redis share the machine's cores: the ratio counts, not the rates.`,
    "",
    ...table(
      [
        "",
        "orders/s to the end",
        "each turn",
        "ratio to the floor",
        "answer p50 ms",
        "p99 ms",
        "end p50 ms",
        "p99 ms",
        "not 200",
        "stock",
      ],
      [
        row(`spread over ${productCount} products`, spread),
        row("one popular product", hot),
        ["floor: single inserts", floor.toFixed(0), floors.map((rate) => rate.toFixed(0)).join(", "), "1"],
      ],
    ),
    "",
    `One popular product reaches ${(rateOf(hot) / rateOf(spread)).toFixed(2)} of the rate of ${productCount} products. Orders ended as: ${[...spread, ...hot].map(({ ends }) => statesOf(ends)).join("; ")}.`,
    "",
    "Processor time per order during the load, in microseconds:",
    "",
    ...table(
      ["", ...servers, "load"],
      [
        ["spread", ...cpuRow(spread)],
        ["hot", ...cpuRow(hot)],
      ],
    ),
  ].join("\n");
}

function cpuRow(turns: readonly OrderLoad[]): string[] {
  const perOrderUs = (msOf: (turn: OrderLoad) => number) =>
    mean(turns.map((turn) => (msOf(turn) * 1000) / turn.ok)).toFixed(0);
  return [...servers.map((name) => perOrderUs(({ cpuMs }) => cpuMs[name])), perOrderUs((turn) => turn.loaderCpuMs)];
}

function line(name: string, turns: readonly OrderLoad[]): string {
  const { endedPerSecond, ends } = turns.at(-1)!;
  return `${name} ${endedPerSecond.toFixed(0)}/s (end p50 ${ends.p50Ms.toFixed(0)}, p99 ${ends.p99Ms.toFixed(0)} ms)`;
}
