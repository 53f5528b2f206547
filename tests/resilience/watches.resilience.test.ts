import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { eventually } from "../e2e/eventually.ts";
import { type InventoryReplicas, startInventoryReplicas } from "./inventory-replicas.ts";
import { type Filter, type Link, openLink } from "./link.ts";
import { framesOf } from "./noisy-bus.ts";

// Two replicas of inventory that move stock, with watches at both. Each reaches NATS through a link that can lose the notices by
// which one replica tells the other of its changes. Orders are watched by the same code.

const productCount = 10;
const slowly = { timeoutMs: 20_000 };
/** The documented bounds, and as much again for a busy machine. */
const afterDeathMs = 8_000;
const withoutNatsMs = 10_000;
/** The sweeper's, which has to be earlier than the comparison of versions every 30 seconds. */
const bySweeperMs = 20_000;

const dataDir = await mkdtemp(join(tmpdir(), "shop-watches-"));
const cleanUp: (() => unknown)[] = [() => rm(dataDir, { recursive: true, force: true })];
/** The share of notices and heartbeats that each replica loses, on their way to NATS and from there. */
const lost = [0, 0];
const links: Link[] = [];
let shop: InventoryReplicas;

beforeAll(async () => {
  let next = 0;
  shop = await startInventoryReplicas(dataDir, async ({ NATS_URL }) => {
    const replica = next++;
    const loses: Filter = (forward) =>
      framesOf((frame) => {
        const isNotice = /^(PUB|MSG) changes\./.test(frame.toString("latin1", 0, 16));
        if (!isNotice || Math.random() >= lost[replica]!) forward(frame);
      });
    const link = await openLink(Number(new URL(NATS_URL).port), { there: loses, back: loses });
    links.push(link);
    cleanUp.unshift(() => link.close());
    return { NATS_URL: NATS_URL.replace(/@.*$/, `@127.0.0.1:${link.port}`) };
  });
  cleanUp.unshift(() => shop.stop());
}, 90_000);

afterAll(async () => {
  for (const one of cleanUp) await one();
}, 60_000);

async function addProduct(): Promise<string> {
  const details = { name: "Thing", category: "Things", price: { currencyCode: "EUR", minorUnits: 1n }, stock: 1 };
  return (await shop.replicas[0].client.createProduct({ product: details })).product!.productId;
}

const move = (replica: number, productId: string) =>
  shop.replicas[replica]!.client.adjustStock({ productId, onHandDelta: 1, reason: "counted" });

/** Watches at a replica, and resumes whenever the watch ends. Returns the sequences received, once it has the first one. */
async function watch(replica: number, productId: string): Promise<readonly number[]> {
  const received: number[] = [];
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const { client } = shop.replicas[replica]!;
  void (async () => {
    while (!over.signal.aborted) {
      try {
        const request = { productId, afterSequence: received.at(-1) ?? 0 };
        for await (const { stock } of client.watchStock(request, { signal: over.signal, timeoutMs: 0 }))
          if (stock !== undefined) received.push(stock.sequence);
      } catch {
        await delay(100);
      }
    }
  })();
  await eventually(() => expect(received).toHaveLength(1), slowly);
  return received;
}

/** New products, each watched at both replicas. */
async function watchProducts(count: number) {
  const productIds = await Promise.all(Array.from({ length: count }, addProduct));
  const watches = await Promise.all(productIds.flatMap((productId) => [watch(0, productId), watch(1, productId)]));
  return { productIds, watches };
}

/** Expects that each watch has received each sequence once and in order. */
async function expectAll(watches: readonly (readonly number[])[], last: number, timeoutMs: number): Promise<void> {
  const all = Array.from({ length: last }, (_, index) => index + 1);
  await eventually(() => expect(watches).toEqual(watches.map(() => all)), { timeoutMs });
}

test("every watch receives every movement in order, though half of the notices and heartbeats are lost", async () => {
  const { productIds, watches } = await watchProducts(productCount);
  lost.fill(0.5);
  onTestFinished(() => void lost.fill(0));
  for (let turn = 0; turn < 20; turn++)
    await Promise.all(productIds.map((productId, n) => move((n + turn) % 2, productId)));
  await expectAll(watches, 21, withoutNatsMs);
}, 60_000);

test("a movement by a replica that is killed before its notice is received within seconds", async () => {
  const { productIds, watches } = await watchProducts(2);
  const atOther = watches.filter((_, index) => index % 2 === 1);
  await Promise.all(productIds.map((productId) => move(0, productId)));
  await expectAll(watches, 2, slowly.timeoutMs);
  // Its notices do not leave the process any more, nor do its heartbeats.
  lost[0] = 1;
  onTestFinished(() => void lost.fill(0));
  await Promise.all(productIds.map((productId) => move(0, productId)));
  await shop.replicas[0].kill();
  await expectAll(atOther, 3, afterDeathMs);
  lost[0] = 0;
  await shop.replicas[0].start();
  await Promise.all(productIds.map((productId) => move(0, productId)));
  await expectAll(watches, 4, slowly.timeoutMs);
}, 90_000);

test("movements by a replica that alone can't reach NATS are received, by the sweeper of the other one", async () => {
  const { productIds, watches } = await watchProducts(2);
  await Promise.all(productIds.map((productId) => move(0, productId)));
  await expectAll(watches, 2, slowly.timeoutMs);
  links[0]!.suffer({ kind: "cut" });
  onTestFinished(() => links[0]!.suffer());
  await Promise.all(productIds.map((productId) => move(0, productId)));
  await expectAll(watches, 3, slowly.timeoutMs);
  // From here on the other replica has noticed the silence, which happens once.
  await Promise.all(productIds.map((productId) => move(0, productId)));
  await expectAll(watches, 4, bySweeperMs);
  links[0]!.suffer();
  await Promise.all(productIds.map((productId, n) => move(n % 2, productId)));
  await expectAll(watches, 5, slowly.timeoutMs);
}, 120_000);

test.each([
  ["hangs", "SIGSTOP", "SIGCONT"],
  ["is killed and restarted", "SIGKILL", undefined],
] as const)(
  "while NATS %s watches receive all movements",
  async (_what, begin, end) => {
    const { productIds, watches } = await watchProducts(3);
    const nats = shop.servers.server("nats");
    nats.kill(begin);
    if (end !== undefined) onTestFinished(() => nats.kill(end));
    for (let turn = 0; turn < 5; turn++) {
      await Promise.all(productIds.map((productId, n) => move((n + turn) % 2, productId)));
      await expectAll(watches, turn + 2, withoutNatsMs);
    }
    if (end !== undefined) nats.kill(end);
    for (let turn = 0; turn < 5; turn++)
      await Promise.all(productIds.map((productId, n) => move((n + turn) % 2, productId)));
    await expectAll(watches, 11, withoutNatsMs);
  },
  120_000,
);
