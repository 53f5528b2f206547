import { refusalsOf } from "./load.ts";
import { exactness, statesOf } from "./order-ends.ts";
import { loadOrders, type OrderLoad } from "./order-load.ts";
import { residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 1_000;
/** Enough connections for requests to be sent without waiting for answers. */
const usualConnections = 4_096;
const usualSeconds = 120;
const calmSeconds = 8;
/** Enough connections to measure the shop's capacity: with fewer it would be idle at times. */
const calmConnections = 256;
const sampleEveryMs = 5_000;

/** Orders, answers and memory at twice the shop's capacity. */
export async function benchOverload(settings: BenchSettings): Promise<string> {
  const connections = settings.connections ?? usualConnections;
  const seconds = settings.seconds ?? usualSeconds;
  const overloaded = async (shop: Shop, shopping: Shopping, productIds: readonly string[]) => {
    const calmly = () => loadOrders(shop, shopping, productIds, { connections: calmConnections, seconds: calmSeconds });
    await calmly();
    const calm = await calmly();

    const servicePid = shop.pidOf("all-in-one");
    const memory = [residentBytes(servicePid)];
    const sampling = setInterval(() => memory.push(residentBytes(servicePid)), sampleEveryMs);
    const callsPerSecond = Math.ceil(calm.endedPerSecond * 2);
    const overload = await loadOrders(shop, shopping, productIds, { connections, seconds, callsPerSecond });
    clearInterval(sampling);
    const lateMs = Math.max(0, overload.ends.lastEndAt - (overload.startedAt + seconds * 1000));
    const after = await calmly();
    return describe({ calm, overload, after }, { connections, seconds, callsPerSecond, memory, lateMs });
  };
  // All connections have one client address.
  return await withShop(productCount, overloaded, { CONNECTIONS_PER_ADDRESS: "0" });
}

function describe(
  { calm, overload, after }: Readonly<Record<"calm" | "overload" | "after", OrderLoad>>,
  how: {
    readonly connections: number;
    readonly seconds: number;
    readonly callsPerSecond: number;
    readonly memory: readonly number[];
    readonly lateMs: number;
  },
): string {
  const row = (name: string, turn: OrderLoad) => [
    name,
    turn.endedPerSecond.toFixed(0),
    turn.p50Ms.toFixed(0),
    turn.p99Ms.toFixed(0),
    turn.ends.p50Ms.toFixed(0),
    turn.ends.p99Ms.toFixed(0),
    refusalsOf(turn),
    String(turn.lost),
    statesOf(turn.ends),
    exactness(turn.stockTaken, turn.ends),
  ];
  const answered = overload.ok + Object.values(overload.refused).reduce((sum, count) => sum + count, 0);
  const mebibytes = how.memory.map((bytes) => Math.round(bytes / 2 ** 20));
  return [
    `First the rate of orders to their final status with ${calmConnections} connections is measured; then ${how.callsPerSecond} a second, twice as many, are sent`,
    `for ${how.seconds} s over ${how.connections} connections, ignoring refusals and RetryInfo; then ${calmConnections} connections again.`,
    `Orders of one line over ${productCount} products, over REST at the public port of the shop in one process. Load and shop share the machine.`,
    "",
    ...table(
      [
        "",
        "orders/s to the end",
        "answer p50 ms",
        "p99 ms",
        "end p50 ms",
        "p99 ms",
        "refused",
        "lost",
        "accepted ended as",
        "stock",
      ],
      [row("before", calm), row("overload", overload), row("after", after)],
    ),
    "",
    `Of those ${how.callsPerSecond} a second ${(answered / how.seconds).toFixed(0)} were answered during the overload.`,
    `The last accepted order had its final status ${how.lateMs.toFixed(0)} ms after the overload. Resident memory of the shop every ${sampleEveryMs / 1000} s, in MiB:`,
    `${mebibytes.join(", ")}.`,
  ].join("\n");
}
