import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  GetProductByIDRequestSchema,
  ListProductsRequestSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Floor, startFloor } from "./floor.ts";
import { checkLoadTools, h2load, post, type ToolRequest, wrk } from "./load-tools.ts";
import { mean } from "./mean.ts";
import { medianRatio } from "./ratio.ts";
import { residentBytesOfAll } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { takeTurn } from "./turn.ts";
import { withShop } from "./with-shop.ts";

/** Of these all are read by one subject, and `usualProducts` by the others. */
const productCount = 1_000;
const usualProducts = 100;
const pageSize = 20;
const usualSeconds = 5;
const usualConnections = 32;
/** Until hot code is compiled. */
const warmUpSeconds = 5;

type Requests = readonly [ToolRequest, ...ToolRequest[]];

/** A read, and the floor's request with the same response over HTTP/1.1. */
interface Subject {
  readonly name: string;
  readonly floor: ToolRequest;
  readonly tool: typeof wrk | typeof h2load;
  /** Built for each turn, because an administrator's token expires. */
  requests(): Promise<Requests>;
}

interface Turn {
  readonly perSecond: number;
  readonly failed: number;
  readonly p99Ms: number;
  readonly cpuPerCallUs: number;
}

/** Reads of the catalogue at the public port beside bare Fastify routes with the same response, in turns; then memory. */
export async function benchReads(settings: BenchSettings): Promise<string> {
  checkLoadTools();
  const bench = async (shop: Shop, shopping: Shopping, allIds: readonly string[]) => {
    const productIds = allIds.slice(0, usualProducts);
    const [product, page] = await Promise.all([
      shopping.call("GET", `/products/${productIds[0]}`),
      shopping.call("GET", listPath),
    ]);
    const floor = await startFloor(
      [
        { method: "GET", path: "/products/:product_id", answer: product },
        { method: "GET", path: "/products", answer: page },
      ],
      settings.workers,
    );
    try {
      const rows: string[][] = [];
      for (const subject of subjectsOf(shopping, productIds, allIds))
        rows.push(...(await measure(subject, shop, floor, settings)));
      const memory = await soak(shop, () => withWrites(shopping, productIds), settings);
      return [...describe(settings), "", ...rates(rows), "", ...memory].join("\n");
    } finally {
      floor.stop();
    }
  };
  return await withShop(productCount, bench, { WORKERS: String(settings.workers) });
}

const listPath = `/products?page_size=${pageSize}`;

function subjectsOf(shopping: Shopping, productIds: readonly string[], allIds: readonly string[]): Subject[] {
  const [product, page] = [getOf(productIds[0]!), get(listPath)];
  const each = (make: (productId: string) => ToolRequest) => async () => productIds.map(make) as unknown as Requests;
  const json = (method: string, message: object) =>
    post(path(method), "application/json", Buffer.from(JSON.stringify(message)));
  const list = create(ListProductsRequestSchema, { pageSize });
  const ofProduct = (productId: string) =>
    toBinary(GetProductByIDRequestSchema, create(GetProductByIDRequestSchema, { productId }));
  return [
    { name: "GET /products/{id}", floor: product, tool: wrk, requests: each(getOf) },
    {
      name: `GET /products/{id}, ${allIds.length} products`,
      ...{ floor: product, tool: wrk, requests: async () => allIds.map(getOf) as unknown as Requests },
    },
    {
      name: "the same, every 100th call updates a product",
      ...{ floor: product, tool: wrk, requests: () => withWrites(shopping, productIds) },
    },
    { name: `GET ${listPath}`, floor: page, tool: wrk, requests: async () => [page] },
    {
      name: "GetProductByID, Connect JSON",
      ...{ floor: product, tool: wrk, requests: each((productId) => json("GetProductByID", { productId })) },
    },
    {
      name: "GetProductByID, Connect binary",
      ...{ floor: product, tool: wrk },
      requests: each((productId) => post(path("GetProductByID"), "application/proto", ofProduct(productId))),
    },
    {
      name: "GetProductByID, gRPC",
      ...{ floor: product, tool: h2load },
      requests: each((id) => post(path("GetProductByID"), "application/grpc", encodeEnvelope(0, ofProduct(id)))),
    },
    {
      name: `ListProducts of ${pageSize}, Connect JSON`,
      ...{ floor: page, tool: wrk, requests: async () => [json("ListProducts", { pageSize })] },
    },
    {
      name: `ListProducts of ${pageSize}, Connect binary`,
      ...{ floor: page, tool: wrk },
      requests: async () => [
        post(path("ListProducts"), "application/proto", toBinary(ListProductsRequestSchema, list)),
      ],
    },
  ];
}

function path(method: string): string {
  return `/shop.inventory.v1.InventoryService/${method}`;
}

function get(path: string): ToolRequest {
  return { method: "GET", path, headers: {}, body: new Uint8Array() };
}

function getOf(productId: string): ToolRequest {
  return get(`/products/${productId}`);
}

/** 99 reads of products per update. */
async function withWrites(shopping: Shopping, productIds: readonly string[]): Promise<Requests> {
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${await shopping.signInAdmin()}`,
  };
  return productIds.flatMap((productId, n): ToolRequest[] => [
    ...Array.from({ length: 99 }, (_, at) => getOf(productIds[(n + at) % productIds.length]!)),
    {
      method: "PATCH",
      path: `/products/${productId}`,
      headers,
      body: Buffer.from(JSON.stringify({ description: `Changed while it is read, in turn ${n}.` })),
    },
  ]) as unknown as Requests;
}

async function measure(subject: Subject, shop: Shop, floor: Floor, settings: BenchSettings): Promise<string[][]> {
  const { rounds, seconds = usualSeconds, connections = usualConnections } = settings;
  const { name, tool } = subject;
  const ofShop = { url: shop.url, pid: shop.pidOf("all-in-one") };
  const floorTurn = (seconds: number) => takeTurn(floor, wrk, { requests: [subject.floor], connections, seconds });
  const shopTurn = async (seconds: number): Promise<Turn> => {
    const taken = await takeTurn(ofShop, tool, { requests: await subject.requests(), connections, seconds });
    return { p99Ms: Number.NaN, ...taken };
  };

  const floors: Turn[] = [];
  const turns: Turn[] = [];
  await floorTurn(warmUpSeconds);
  await shopTurn(warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    floors.push(await floorTurn(seconds));
    turns.push(await shopTurn(seconds));
  }
  const rows = [row(name, turns, medianRatio(turns, floors).toFixed(2)), row("its floor", floors, "1")];
  for (const one of rows) console.log(one.join("  "));
  return rows;
}

function row(name: string, turns: readonly Turn[], ratio: string): string[] {
  return [
    name,
    mean(turns.map(({ perSecond }) => perSecond)).toFixed(0),
    turns.map(({ perSecond }) => perSecond.toFixed(0)).join(", "),
    mean(turns.map(({ p99Ms }) => p99Ms)).toFixed(1),
    mean(turns.map(({ cpuPerCallUs }) => cpuPerCallUs)).toFixed(0),
    String(turns.reduce((sum, { failed }) => sum + failed, 0)),
    ratio,
  ];
}

/** The memory of the shop's process during a long run of reads and updates. */
async function soak(shop: Shop, requestsOf: () => Promise<Requests>, settings: BenchSettings): Promise<string[]> {
  const { minutes = 5, connections = usualConnections } = settings;
  const pid = shop.pidOf("all-in-one");
  const rows: string[][] = [];
  for (let minute = 1; minute <= minutes; minute++) {
    let [most, least] = [0, Number.POSITIVE_INFINITY];
    const look = setInterval(() => {
      most = Math.max(most, residentBytesOfAll(pid));
      least = Math.min(least, residentBytesOfAll(pid));
    }, 1_000);
    const { perSecond, p99Ms, failed } = await wrk({
      ...{ url: shop.url, requests: await requestsOf(), connections, seconds: 60 },
    });
    clearInterval(look);
    const megabytes = [least, most].map((bytes) => (bytes / 1_048_576).toFixed(0));
    rows.push([String(minute), ...megabytes, perSecond.toFixed(0), p99Ms.toFixed(1), String(failed)]);
    console.log(rows.at(-1)!.join("  "));
  }
  return [
    "The process of the shop, minute by minute, while every 100th call updates a product.",
    "",
    ...table(["minute", "least MiB", "most MiB", "calls/s", "p99 ms", "failed"], rows),
  ];
}

function describe({
  rounds,
  workers,
  seconds = usualSeconds,
  connections = usualConnections,
}: BenchSettings): string[] {
  return [
    "Cached reads at the public port of the shop in one process; the floor is a bare Fastify route in its own",
    `process that answers the same JSON. wrk (h2load for gRPC, 8 streams a connection) with one thread, ${connections} calls at once,`,
    `turns of ${seconds} s, ${rounds} each, after ${warmUpSeconds} s to warm up; ${usualProducts} products in turn unless said. Load, shop, MongoDB, NATS and`,
    "Redis share the machine's cores, so the ratio counts: the median of those of each round. Processor time is the server's own.",
    ...(workers === 1 ? [] : [`Shop and floor use ${workers} workers each.`]),
  ];
}

function rates(rows: string[][]): string[] {
  return table(["", "calls/s", "each turn", "p99 ms", "server CPU, us/call", "failed", "ratio"], rows);
}
