import { afterEach, beforeAll, expect, test } from "vitest";
import { fuzzedPlay } from "../../hostile-peers/fuzzer.ts";
import { samplePlays } from "../../hostile-peers/matrix.ts";
import { type Play, playAll } from "../../hostile-peers/play.ts";
import type { Paths } from "../../hostile-peers/requests.ts";
import { deathsLogged, readVitals, type Vitals } from "../../hostile-peers/survival.ts";
import { seededRandom } from "../../resilience/random.ts";
import { collectGarbage, runningProcesses } from "../../setup/shop.ts";
import { eventually } from "../eventually.ts";
import { shop, signUp } from "../shopping.ts";

// No bytes from the network end a process, on any port: process ids stay, no exception was even contained, and memory returns.

const concurrency = 24;
/** A minute for both topologies together. */
const fuzzMs = 30_000;
/** Allowances for normal growth: connection pools to other services, caches, and compiled code. */
const allowedSockets = 100;
const allowedHeapBytes = 16 * 1_048_576;

interface Target {
  readonly port: number;
  readonly paths: Paths;
}

let targets: readonly Target[];
let processes: unknown;
let calm: readonly Vitals[];

const readProcesses = () => runningProcesses(shop.dataDir).map(({ name, pid }) => [name, pid]);
const readAllVitals = () => {
  collectGarbage(shop.dataDir);
  return Promise.all(shop.metricsUrls.map(readVitals));
};

beforeAll(async () => {
  const { authorization } = (await signUp()).headers;
  const target = (url: string, unary: string, stream: string, rest: string): Target => ({
    port: Number(new URL(url).port),
    paths: { unary, stream, rest, authorization },
  });
  const inventory = "shop.inventory.v1.InventoryService";
  const orders = "shop.orders.v1.OrderService";
  targets = [
    target(shop.url, `${inventory}/ListProducts`, `${inventory}/WatchStock`, "/products"),
    target(shop.usersUrl, "shop.users.v1.UserService/GetUser", "grpc.health.v1.Health/Watch", "/users"),
    target(shop.inventoryUrl, `${inventory}/ListProducts`, `${inventory}/WatchStock`, "/products"),
    target(shop.ordersUrl, `${orders}/ListOrders`, `${orders}/WatchOrder`, "/orders"),
    target(shop.metricsUrls.at(-1)!, "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", "/metrics"),
  ];
  processes = readProcesses();
  // Code compiled and values cached by the first calls are not a leak.
  const random = seededRandom(0);
  await playAll(
    take(3_000, () => anyFuzzedPlay(random)),
    concurrency,
  );
  calm = await readAllVitals();
});

afterEach(async () => {
  expect(readProcesses()).toEqual(processes);
  expect(deathsLogged(shop.dataDir)).toEqual([]);
  expect((await fetch(`${shop.url}/readyz`)).status).toBe(200);
  await eventually(
    async () => {
      for (const [index, { sockets, heapBytes, exceptions }] of (await readAllVitals()).entries()) {
        expect(exceptions, "contained exceptions").toBe(0);
        expect(sockets).toBeLessThanOrEqual(calm[index]!.sockets + allowedSockets);
        expect(heapBytes).toBeLessThanOrEqual(calm[index]!.heapBytes + allowedHeapBytes);
      }
    },
    { timeoutMs: 20_000, everyMs: 250 },
  );
}, 60_000);

test("no pairwise combination of requests, faults, packets and ways to leave ends a process on any port", async () => {
  const seed = 1;
  for (const { port, paths } of targets) {
    const plays = samplePlays(paths, seededRandom(seed).fork(String(targets.findIndex((one) => one.port === port))));
    const { played, answered } = await playAll(
      plays.map((one) => ({ ...one, port })),
      concurrency,
    );
    expect(played).toBe(plays.length);
    // Check of the attack itself: much of it is parsed and answered.
    expect(answered).toBeGreaterThan(played / 10);
  }
  const vitals = await readAllVitals();
  expect(vitals.reduce((sum, { networkErrors }) => sum + networkErrors, 0)).toBeGreaterThan(1_000);
}, 180_000);

test("no mutated frames, headers or lines end a process on any port", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`the seed of the fuzzer is ${seed}`);
  const random = seededRandom(seed);
  const until = performance.now() + fuzzMs;
  const plays = (function* () {
    while (performance.now() < until) yield anyFuzzedPlay(random);
  })();
  const { answered } = await playAll(plays, concurrency);
  expect(answered).toBeGreaterThan(100);
}, 120_000);

function anyFuzzedPlay(random: ReturnType<typeof seededRandom>): Play & { readonly port: number } {
  const { port, paths } = random.pick(targets);
  return { ...fuzzedPlay(paths, random), port };
}

function* take<Item>(count: number, next: () => Item): Generator<Item> {
  for (let index = 0; index < count; index++) yield next();
}
