import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import {
  AdjustStockRequestSchema,
  type Stock,
  WatchStockRequestSchema,
  type WatchStockResponse,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Bus, openChangeNotices } from "@shop/messaging";
import { createChanges, createWatches } from "@shop/runtime";
import { contextOf, nothingRevoked, openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import { createStockHistory } from "../adapters/mongo/stock-history.ts";
import { openTestInventory } from "../testing/open-test-inventory.ts";
import { adjustStock } from "./adjust-stock.ts";
import { watchStock } from "./watch-stock.ts";

const admin = contextOf({ kind: "user", userId: "user_admin", roles: ["admin"] });

async function openWatching() {
  const name = newId("service");
  const openNotices = (bus: Bus) => {
    const notices = openChangeNotices(bus, name);
    onTestFinished(notices.close);
    return notices;
  };
  // Changes are made by a process without watches.
  const others = openNotices(await openTestBus());
  const announced: string[] = [];
  const announce = (productIds: readonly string[]) => {
    announced.push(...productIds);
    others.announce(productIds);
  };
  const opened = await openTestInventory(undefined, announce);
  const bus = await openTestBus();
  const history = createStockHistory(opened.ledgerDocuments);
  const reads = vi.spyOn(history, "balancesAfter");
  const stop = new AbortController();
  const adjust = adjustStock(opened);

  function replica() {
    const notices = openNotices(bus);
    const watch = watchStock({
      products: opened.products,
      history,
      watch: createWatches({
        changes: createChanges({ notices, versionsOf: opened.products.sequencesOf, log: silentLog }),
        revocations: nothingRevoked,
        max: 100,
        maxPerCaller: 100,
        maxPerNetwork: 0,
        stopping: stop.signal,
        keepAliveMs: 60_000,
      }),
    });
    /** Watches a product, and skips heartbeats. */
    return async function* (productId: string, afterSequence = 0): AsyncGenerator<Stock> {
      const gone = new AbortController();
      onTestFinished(() => gone.abort());
      const request = create(WatchStockRequestSchema, { productId, afterSequence });
      const answers = watch(request, contextOf({ kind: "anonymous" }, {}, gone.signal));
      for await (const { stock } of answers as AsyncIterable<WatchStockResponse>) if (stock) yield stock;
    };
  }

  /** Makes one adjustment for each delta. */
  async function receive(productId: string, ...deltas: number[]) {
    for (const onHandDelta of deltas)
      await adjust(create(AdjustStockRequestSchema, { productId, onHandDelta, reason: "test" }), admin);
  }

  /** Writes `count` movements of one unit directly into the ledger, and the balance that follows. */
  async function flood(productId: string, from: number, count: number) {
    const entries = Array.from({ length: count }, (_, index) => ({
      _id: newId("entry"),
      kind: "adjusted" as const,
      keys: [`${productId}:${from + index + 1}`],
      moves: [{ product_id: productId, sequence: from + index + 1, on_hand_delta: 1, reserved_delta: 0 }],
      decisions: [],
      closings: [],
      actor: "test",
      create_time: new Date(),
      outbox: [],
    }));
    await opened.ledgerDocuments.insertMany(entries);
    const update = { $inc: { "balance.sequence": 1, "balance.on_hand": 1 } };
    await opened.productDocuments.bulkWrite(entries.map(() => ({ updateOne: { filter: { _id: productId }, update } })));
    announce([productId]);
  }
  return { ...opened, announced, reads, replica, receive, flood, stop };
}

async function take(stocks: AsyncGenerator<Stock>, count: number): Promise<Stock[]> {
  const taken: Stock[] = [];
  while (taken.length < count) taken.push((await stocks.next()).value);
  return taken;
}

test("a watch sends the stock, then the stock after each movement by any replica, and nothing about the orders", async () => {
  const { addProduct, replica, receive } = await openWatching();
  const productId = await addProduct(5);
  const watches = [replica(), replica()].map((watch) => watch(productId));
  const next = () => Promise.all(watches.map(async (watch) => (await watch.next()).value));
  const stock = (sequence: number, onHand: number) => ({ productId, onHand, reserved: 0, available: onHand, sequence });

  expect(await next()).toEqual(Array(2).fill(stock(1, 5)));
  for (const [index, onHand] of [8, 7, 17].entries()) {
    const moved = next();
    await receive(productId, [3, -1, 10][index]!);
    expect(await moved).toEqual(Array(2).fill(stock(index + 2, onHand)));
  }
});

test("a watch resumes after any sequence with exactly the remaining movements", async () => {
  const { addProduct, replica, receive } = await openWatching();
  const productId = await addProduct(100);
  const deltas = [5, -20, 7, -1, 1, 300, -50];
  await receive(productId, ...deltas);
  const onHand = [100];
  for (const delta of deltas) onHand.push(onHand.at(-1)! + delta);
  const watch = replica();
  for (let sequence = 1; sequence <= deltas.length; sequence++) {
    const rest = await take(watch(productId, sequence), onHand.length - sequence);
    expect(
      rest.map((stock) => [stock.sequence, stock.onHand]),
      `after ${sequence}`,
    ).toEqual(onHand.map((count, index) => [index + 1, count]).slice(sequence));
  }
});

test("a client that reconnects after every response receives each movement once", async () => {
  const { addProduct, replica, receive } = await openWatching();
  const productId = await addProduct(0);
  const [watch, another] = [replica(), replica()];
  const moving = receive(productId, ...Array(40).fill(2));
  for (let sequence = 1; sequence < 41; sequence++) {
    const stocks = (sequence % 2 === 0 ? watch : another)(productId, sequence);
    const { value } = await stocks.next();
    await stocks.return(undefined);
    expect(value).toMatchObject({ sequence: sequence + 1, onHand: sequence * 2 });
  }
  await moving;
});

test("a client that does not read causes no database reads, and later receives all movements, a page at a time", async () => {
  const { addProduct, replica, flood, reads } = await openWatching();
  const productId = await addProduct(1);
  const [slow, swift] = [replica()(productId), replica()(productId)];
  await Promise.all([slow.next(), swift.next()]);
  await flood(productId, 1, 1);
  // The page in memory has one movement.
  await Promise.all([slow.next(), swift.next()]);
  const before = reads.mock.calls.length;
  await flood(productId, 2, 5_000);
  expect(reads.mock.calls.length).toBe(before);

  const expected = Array.from({ length: 5_000 }, (_, index) => [index + 3, index + 3]);
  for (const watch of [slow, swift]) {
    const stocks = await take(watch, 5_000);
    expect(stocks.map(({ sequence, onHand }) => [sequence, onHand])).toEqual(expected);
  }
  const pages = await Promise.all(reads.mock.results.map(({ value }) => value as Promise<unknown[]>));
  expect(Math.max(...pages.map((page) => page.length))).toBe(100);
});

test("a watch that would resume too far back is refused with STOCK_HISTORY_TOO_LONG", async () => {
  const { addProduct, replica, flood } = await openWatching();
  const productId = await addProduct(1);
  await flood(productId, 1, 10_001);
  const [last] = await take(replica()(productId, 2), 1);
  expect(last).toMatchObject({ sequence: 3, onHand: 3 });
  await expect(replica()(productId, 1).next()).rejects.toMatchObject({ reason: "STOCK_HISTORY_TOO_LONG" });
});

test("a watch of a product that is not in the catalogue is refused, and ends when its product is deleted", async () => {
  const { addProduct, announced, replica, products } = await openWatching();
  const watch = replica();
  await expect(watch(newId("product")).next()).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });
  const productId = await addProduct(1);
  const stocks = watch(productId);
  await stocks.next();
  const ended = expect(stocks.next()).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });
  await products.remove(productId, undefined, new Date());
  expect(announced).toEqual([productId]);
  await ended;
  await expect(watch(productId).next()).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });
});
