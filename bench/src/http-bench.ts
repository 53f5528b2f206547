import { type FloorRoute, startFloor } from "./floor.ts";
import { type Load, type LoadResult, load, type Request } from "./load.ts";
import { exactness, type OrderEnds, statesOf, untilOrdersEnded } from "./order-ends.ts";
import { processorTimeOfAllMs } from "./processor-time.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 200;
const warmUpSeconds = 2;
const usualSeconds = 8;
const usualConnections = 32;
const createOrderPath = "/shop.orders.v1.OrderService/CreateOrder";

/** A call to measure, and the floor with the same response. */
interface Subject {
  readonly name: string;
  readonly floor: FloorRoute;
  /** Whether it places orders, which have to reach a final status afterwards. */
  readonly places: boolean;
  requests(token: string): readonly Request[];
}

interface Turn extends LoadResult {
  /** Processor time of the server's own process and of its workers per answer, in microseconds. */
  readonly cpuPerCallUs: number;
  readonly ends?: OrderEnds & {
    readonly stockTaken: number;
    /** From the end of the load to the last order's final status. */
    readonly drainedMs: number;
  };
}

interface Measured {
  readonly subject: Subject;
  readonly floors: readonly Turn[];
  readonly turns: readonly Turn[];
}

/** Calls per second at the public port beside a bare Fastify route with the same response, in turns. */
export async function benchHttp(settings: BenchSettings): Promise<string> {
  const bench = async (shop: Shop, shopping: Shopping, productIds: readonly string[]) => {
    const subjects = await subjectsOf(shopping, productIds);
    const measured: Measured[] = [];
    for (const subject of subjects) measured.push(await measure(subject, shop, shopping, productIds, settings));
    return describe(measured, settings);
  };
  return await withShop(productCount, bench, { WORKERS: String(settings.workers) });
}

async function subjectsOf(shopping: Shopping, productIds: readonly string[]): Promise<Subject[]> {
  const token = await shopping.newShopper();
  const order = (product_id: string) => ({ items: [{ product_id, quantity: 1 }] });
  const connectOrder = (productId: string) => ({ items: [{ productId, quantity: 1 }] });
  const [first] = productIds as [string];
  const post = (path: string, bodyOf: (productId: string) => unknown) => (bearer: string) =>
    productIds.map((productId): Request => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${bearer}` };
      return { method: "POST", path, headers, body: JSON.stringify(bodyOf(productId)) };
    });
  return [
    {
      name: "GET /products/{id}, REST",
      floor: {
        method: "GET",
        path: "/products/:product_id",
        answer: await shopping.call("GET", `/products/${first}`),
      },
      places: false,
      requests: () => productIds.map((id): Request => ({ method: "GET", path: `/products/${id}` })),
    },
    {
      name: "CreateOrder, REST",
      floor: {
        method: "POST",
        path: "/orders",
        answer: await shopping.call("POST", "/orders", order(first), token),
      },
      places: true,
      requests: post("/orders", order),
    },
    {
      name: "CreateOrder, Connect JSON",
      floor: {
        method: "POST",
        path: createOrderPath,
        answer: await shopping.call("POST", createOrderPath, connectOrder(first), token),
      },
      places: true,
      requests: post(createOrderPath, connectOrder),
    },
  ];
}

async function measure(
  subject: Subject,
  shop: Shop,
  shopping: Shopping,
  productIds: readonly string[],
  { rounds, workers, seconds = usualSeconds, connections = usualConnections }: BenchSettings,
): Promise<Measured> {
  const floor = await startFloor([subject.floor], workers);
  const servicePid = shop.pidOf("all-in-one");

  async function turnOf(url: string, pid: number, requests: readonly Request[], seconds: number): Promise<Turn> {
    const task: Load = { url, requests, connections, seconds };
    const before = processorTimeOfAllMs(pid);
    const result = await load(task);
    return { ...result, cpuPerCallUs: ((processorTimeOfAllMs(pid) - before) * 1000) / result.ok };
  }

  async function shopTurn(turnSeconds: number): Promise<Turn> {
    const token = await shopping.newShopper();
    const stockBefore = await shopping.stockOf(productIds);
    const turn = await turnOf(shop.url, servicePid, subject.requests(token), turnSeconds);
    if (!subject.places) return turn;
    const loadEndedAt = Date.now();
    const ends = await untilOrdersEnded(shopping, token, new Map(turn.orders));
    const drainedMs = Math.max(0, ends.lastEndAt - loadEndedAt);
    return { ...turn, ends: { ...ends, drainedMs, stockTaken: stockBefore - (await shopping.stockOf(productIds)) } };
  }

  const floorRequests = subject.requests("floor");
  const floors: Turn[] = [];
  const turns: Turn[] = [];
  try {
    await turnOf(floor.url, floor.pid, floorRequests, warmUpSeconds);
    await shopTurn(warmUpSeconds);
    while (turns.length < rounds) {
      floors.push(await turnOf(floor.url, floor.pid, floorRequests, seconds));
      turns.push(await shopTurn(seconds));
      console.log(`${subject.name}: ${line(turns.at(-1)!)}, floor ${line(floors.at(-1)!)}`);
    }
  } finally {
    floor.stop();
  }
  return { subject, floors, turns };
}

function describe(
  measured: readonly Measured[],
  { seconds = usualSeconds, connections = usualConnections, rounds, workers }: BenchSettings,
): string {
  const rows = measured.flatMap(({ subject, floors, turns }) => [
    row(subject.name, turns, (mean(turns, "perSecond") / mean(floors, "perSecond")).toFixed(3)),
    row("its floor", floors, "1"),
  ]);
  const orders = measured.flatMap(({ subject, turns }) =>
    turns.flatMap(({ ok, ends }) => {
      if (ends === undefined) return [];
      return [
        [
          subject.name,
          ...[ok, ends.taken].map(String),
          statesOf(ends),
          ...[ends.p50Ms, ends.p99Ms, ends.drainedMs].map((ms) => ms.toFixed(0)),
          exactness(ends.stockTaken, ends),
        ],
      ];
    }),
  );
  return [
    `The load is generated by its own process, ${connections} connections, no retries, only over loopback. The shop in one process`,
    `(services/all-in-one) at its public port; the floor is a bare Fastify route in its own process that answers the same JSON.`,
    `Floor and shop take turns of ${seconds} s, ${rounds} each, after ${warmUpSeconds} s to warm up. ${productCount} products in turn, plenty of stock,`,
    ...(workers === 1 ? [] : [`Shop and floor use ${workers} workers each.`]),
    "one line an order. Load, shop, MongoDB, NATS and Redis share the machine's cores, so the ratio counts, not the rates.",
    "",
    ...table(
      ["", "calls/s", "each turn", "p50 ms", "p99 ms", "server CPU, us/call", "load CPU, us/call", "not 200", "ratio"],
      rows,
    ),
    "",
    "Final states of the orders. Their time is from the request to the final status, by the machine's clock; `drained` is from the end",
    "of the load to the last final status. Stock is exact when it decreased by the units of the confirmed orders.",
    "",
    ...table(["", "answered", "taken", "ended", "p50 ms", "p99 ms", "drained ms", "stock"], orders),
  ].join("\n");
}

function row(name: string, turns: readonly Turn[], ratio: string): string[] {
  const failures = turns.reduce(
    (sum, { refused, lost }) => Object.values(refused).reduce((a, b) => a + b, sum + lost),
    0,
  );
  return [
    name,
    mean(turns, "perSecond").toFixed(0),
    turns.map(({ perSecond }) => perSecond.toFixed(0)).join(", "),
    mean(turns, "p50Ms").toFixed(1),
    mean(turns, "p99Ms").toFixed(1),
    mean(turns, "cpuPerCallUs").toFixed(0),
    (turns.reduce((sum, turn) => sum + (turn.loaderCpuMs * 1000) / turn.ok, 0) / turns.length).toFixed(0),
    String(failures),
    ratio,
  ];
}

function mean(turns: readonly Turn[], key: "perSecond" | "p50Ms" | "p99Ms" | "cpuPerCallUs"): number {
  return turns.reduce((sum, turn) => sum + turn[key], 0) / turns.length;
}

function line({ perSecond, p50Ms, p99Ms }: Turn): string {
  return `${perSecond.toFixed(0)}/s (p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(1)} ms)`;
}
