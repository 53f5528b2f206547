import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { InventoryService, Product } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Infra } from "@shop/tools/infra";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redisAddress } from "../setup/redis-address.ts";
import { startInventoryReplicas } from "./inventory-replicas.ts";
import { openLink } from "./link.ts";

/** The cache's guarantee: every replica shows a change within this time of its answer. */
const seenWithinMs = 1_000;
/** Stock movements do not end cached pages. */
const pageStockWithinMs = 2_000 + seenWithinMs;
const productCount = 4;

const dataDir = await mkdtemp(join(tmpdir(), "shop-cache-"));
const cleanUp: (() => unknown)[] = [() => rm(dataDir, { recursive: true, force: true })];
let servers: Infra;
let replicas: readonly Client<typeof InventoryService>[];

beforeAll(async () => {
  const started = await startInventoryReplicas(dataDir, async ({ MONGODB_URI }) => {
    // Its database reads arrive late, and may be stale by then.
    const link = await openLink(Number(new URL(MONGODB_URI).port));
    link.suffer({ kind: "slow", delayMs: 1, jitterMs: 120, bytesPerSecond: 50_000_000 });
    cleanUp.unshift(() => link.close());
    return { MONGODB_URI: MONGODB_URI.replace(/@.*$/, `@127.0.0.1:${link.port}/?directConnection=true`) };
  });
  cleanUp.unshift(() => started.stop());
  servers = started.servers;
  replicas = started.replicas.map(({ client }) => client);
}, 90_000);

afterAll(async () => {
  for (const one of cleanUp) await one();
}, 60_000);

/** The known history of one growing value: the values that were certain, and since when. */
class Known {
  #steps: { readonly value: number; readonly at: number }[] = [];

  reached(value: number): void {
    if (value > (this.#steps.at(-1)?.value ?? -1)) this.#steps.push({ value, at: performance.now() });
  }

  /** The largest value known at that time. */
  at(time: number): number {
    return this.#steps.findLast(({ at }) => at <= time)?.value ?? 0;
  }

  get last(): number {
    return this.#steps.at(-1)?.value ?? 0;
  }
}

interface Subject {
  readonly productId: string;
  readonly details: Known;
  readonly stock: Known;
}

const detailsOf = ({ description }: Product) => Number(description);

/** Sends a command to Redis, and waits for the reply. */
async function commandRedis(command: string): Promise<void> {
  const { address, auth } = redisAddress(servers.redisUrl);
  const socket = connect(address);
  socket.write(`${auth}${command}\r\n`);
  await once(socket, "data");
  socket.destroy();
}

test("during faults of Redis no replica shows a value that was changed over a second ago, and a writer sees its write", {
  timeout: 120_000,
}, async () => {
  const subjects = await Promise.all(
    Array.from({ length: productCount }, async (): Promise<Subject> => {
      const { product } = await replicas[0]!.createProduct({
        product: {
          name: "Thing",
          description: "0",
          category: "Things",
          price: { currencyCode: "EUR", minorUnits: 1n },
        },
      });
      return { productId: product!.productId, details: new Known(), stock: new Known() };
    }),
  );
  const stale: string[] = [];
  let phase = "quiet";
  let reads = 0;
  let isOver = false;

  function check(subject: Subject, product: Product, askedAt: number, what: string, stockWithinMs: number): void {
    const facts = [
      ["details", subject.details, detailsOf(product), seenWithinMs],
      ["stock", subject.stock, product.stock, stockWithinMs],
    ] as const;
    for (const [fact, known, seen, withinMs] of facts) {
      const expected = known.at(askedAt - withinMs);
      if (seen < expected) stale.push(`${phase}: ${what} shows ${fact} ${seen}, over ${withinMs} ms after ${expected}`);
      // A value that was seen is known: no later read may show less.
      known.reached(seen);
    }
  }

  /** Late or missing answers during a fault are another test's subject. */
  async function attempt<Result>(call: Promise<Result>): Promise<Result | undefined> {
    return await call.catch(() => undefined);
  }

  async function readProducts(subject: Subject, replica: (typeof replicas)[number]): Promise<void> {
    while (!isOver) {
      const askedAt = performance.now();
      const answer = await attempt(replica.getProductByID({ productId: subject.productId }));
      if (answer !== undefined) check(subject, answer.product!, askedAt, "a product", seenWithinMs);
      reads++;
      await delay(2);
    }
  }

  async function readPages(replica: (typeof replicas)[number]): Promise<void> {
    while (!isOver) {
      const askedAt = performance.now();
      const page = await attempt(replica.listProducts({}));
      for (const product of page?.products ?? []) {
        const listed = subjects.find(({ productId }) => productId === product.productId)!;
        check(listed, product, askedAt, "a page", pageStockWithinMs);
      }
      reads++;
      await delay(5);
    }
  }

  async function changeDetails({ productId, details }: Subject, replica: (typeof replicas)[number]): Promise<void> {
    const description = String(details.last + 1);
    const change = { product: { productId, description }, updateMask: { paths: ["description"] } };
    const updated = await attempt(replica.updateProduct(change));
    if (updated === undefined) return;
    const written = detailsOf(updated.product!);
    details.reached(written);
    const own = await attempt(replica.getProductByID({ productId }));
    const page = await attempt(replica.listProducts({}));
    for (const product of [own?.product, page?.products.find((listed) => listed.productId === productId)]) {
      if (product !== undefined && detailsOf(product) < written)
        stale.push(`${phase}: a writer does not see its own ${written}, but ${product.description}`);
    }
  }

  async function moveStock({ productId, stock }: Subject, replica: (typeof replicas)[number]): Promise<void> {
    const adjusted = await attempt(replica.adjustStock({ productId, onHandDelta: 1, reason: "counted" }));
    if (adjusted === undefined) return;
    const written = adjusted.stock!.available;
    stock.reached(written);
    const own = await attempt(replica.getProductByID({ productId }));
    if (own !== undefined && own.product!.stock < written)
      stale.push(`${phase}: a writer does not see its own stock ${written}, but ${own.product!.stock}`);
  }

  /** Two concurrent writers at different replicas, with pauses: later writes would cover up a mistake. */
  async function write(n: number, subject: Subject): Promise<void> {
    for (let turn = n; !isOver; turn++) {
      const [one, other] = turn % 2 === 0 ? replicas : replicas.toReversed();
      const soon = () => delay(150 * Math.random());
      await Promise.all([
        soon().then(() => changeDetails(subject, one!)),
        soon().then(() => moveStock(subject, other!)),
      ]);
      await delay(turn % 2 === 0 ? seenWithinMs + 200 : 0);
    }
  }

  const working = [
    ...replicas.flatMap((replica) => [
      readPages(replica),
      ...subjects.map((subject) => readProducts(subject, replica)),
    ]),
    ...subjects.map((subject, n) => write(n, subject)),
  ];
  const redis = servers.server("redis");
  const phases: readonly (readonly [string, number, () => unknown])[] = [
    ["quiet", 3_000, () => {}],
    ["flushed", 1_000, () => commandRedis("FLUSHALL")],
    ["flushed again", 1_000, () => commandRedis("FLUSHALL")],
    ["frozen", 2_500, () => redis.kill("SIGSTOP")],
    ["thawed", 2_000, () => redis.kill("SIGCONT")],
    ["killed", 4_000, () => redis.kill("SIGKILL")],
    ["connections cut", 2_000, () => commandRedis("CLIENT KILL TYPE normal SKIPME yes")],
    ["deafened", 2_000, () => commandRedis("CLIENT KILL TYPE pubsub SKIPME yes")],
  ];
  for (const [name, ms, happen] of phases) {
    phase = name;
    await happen();
    await delay(ms);
  }
  isOver = true;
  await Promise.all(working);

  expect(stale).toEqual([]);
  expect(reads).toBeGreaterThan(1_000);
  await delay(pageStockWithinMs);
  const products = await Promise.all(
    replicas.flatMap((replica) => [
      ...subjects.map(async ({ productId }) => (await replica.getProductByID({ productId })).product!),
      ...subjects.map(async ({ productId }) => {
        const { products } = await replica.listProducts({});
        return products.find((product) => product.productId === productId)!;
      }),
    ]),
  );
  const asAll = products.map(({ productId, description, stock }) => ({ productId, description, stock }));
  const asOne = subjects.map(({ productId }) => asAll.find((product) => product.productId === productId));
  expect(asAll).toEqual(replicas.flatMap(() => [...asOne, ...asOne]));
  for (const { productId, details, stock } of subjects) {
    const last = asOne.find((product) => product?.productId === productId)!;
    expect(Number(last.description)).toBeGreaterThanOrEqual(details.last);
    expect(last.stock).toBeGreaterThanOrEqual(stock.last);
  }
});
