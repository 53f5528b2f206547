import { newId } from "@shop/core";
import { type Bus, connectBus, openChangeNotices } from "@shop/messaging";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { createChanges } from "./changes.ts";
import { breakableProxy, openLossyBus, openTestBus, openTestDb, silentLog } from "./testing/index.ts";

interface Thing {
  _id: string;
  version: number;
}

const beatMs = 200;
const pollMs = 300;

/** A service whose processes change and follow the things of one collection. Nothing is compared without a reason. */
async function openThings() {
  const things = (await openTestDb()).collection<Thing>("things");
  const name = newId("service");
  async function startProcess(on?: Bus) {
    const notices = openChangeNotices(on ?? (await openTestBus()), name, beatMs);
    onTestFinished(notices.close);
    const changes = createChanges({
      notices,
      async versionsOf(ids) {
        const found = await things.find({ _id: { $in: [...ids] } }).toArray();
        return new Map(found.map(({ _id, version }) => [_id, version]));
      },
      log: silentLog,
      pollMs,
      recheckMs: Number.POSITIVE_INFINITY,
    });
    return {
      notices,
      change: async (id: string, announce = notices.announce) => {
        await things.updateOne({ _id: id }, { $inc: { version: 1 } }, { upsert: true });
        announce([id]);
      },
      /** Reads the thing whenever it is woken; one read at a time. Returns the version that it read last. */
      watch(id: string) {
        let version: number | undefined;
        let isWoken = true;
        let isReading = false;
        async function read() {
          if (isReading) return;
          isReading = true;
          while (isWoken) {
            isWoken = false;
            version = (await things.findOne({ _id: id }))?.version;
          }
          isReading = false;
        }
        const wake = () => {
          isWoken = true;
          void read();
        };
        onTestFinished(changes.subscribe(id, { version: () => version, wake }));
        wake();
        return () => version;
      },
    };
  }
  const ids = Array.from({ length: 20 }, (_, n) => `thing_${n}`);
  return { startProcess, ids };
}

type Process = Awaited<ReturnType<Awaited<ReturnType<typeof openThings>>["startProcess"]>>;

/** Expects that every watcher has seen this version, within the time. */
async function allSee(watchers: readonly (() => number | undefined)[], version: number, timeout = 5_000) {
  await vi.waitFor(() => expect(watchers.map((seen) => seen())).toEqual(watchers.map(() => version)), { timeout });
}

/** Watchers of each of these ids in each process, once notices arrive there. */
async function watchAll(processes: readonly Process[], ids: readonly string[]) {
  const watchers = processes.flatMap(({ watch }) => ids.map(watch));
  await vi.waitFor(() => expect(processes.map(({ notices }) => notices.isLive())).not.toContain(false));
  return watchers;
}

test("watchers in every process see the last version, though any notice or heartbeat may be lost", async () => {
  const { startProcess, ids } = await openThings();
  let isLossy = true;
  const processes = [
    await startProcess(await openLossyBus(() => isLossy && Math.random() < 0.5)),
    await startProcess(await openLossyBus(() => isLossy && Math.random() < 0.5)),
  ];
  const watchers = processes.flatMap(({ watch }) => ids.map(watch));
  for (let version = 1; version <= 10; version++) {
    await Promise.all(ids.map((id, n) => processes[(version + n) % 2]!.change(id)));
    await allSee(watchers, version);
  }
  isLossy = false;
});

test("a watcher sees a change whose process died before it announced it", async () => {
  const { startProcess, ids } = await openThings();
  const [dying, other] = [await startProcess(), await startProcess()];
  const watchers = await watchAll([other], ids);
  await Promise.all(ids.map((id) => dying.change(id)));
  await allSee(watchers, 1);
  await Promise.all(ids.map((id) => dying.change(id, () => {})));
  dying.notices.close();
  await allSee(watchers, 2);
});

test("a change while a process begins to watch is seen", async () => {
  const { startProcess, ids } = await openThings();
  const [one, other] = [await startProcess(), await startProcess()];
  for (let version = 1; version <= 10; version++) {
    const id = `${ids[0]}_${version}`;
    const seen = other.watch(id);
    await one.change(id);
    await allSee([seen], 1);
  }
});

test.each(["cut", "freeze"] as const)(
  "while NATS can't be reached (%s) watchers see all changes, and others see those made there once it can",
  async (fault) => {
    const { startProcess, ids } = await openThings();
    const proxy = await breakableProxy(inject("natsUrl"));
    const options = { url: proxy.url, name: "test", replicas: 1 };
    const bus = await connectBus(options, silentLog, new AbortController().signal);
    onTestFinished(() => bus.close());
    const processes = [await startProcess(bus), await startProcess()];
    const watchers = await watchAll(processes, ids);
    proxy[fault]();
    for (let version = 1; version <= 3; version++) {
      await Promise.all(ids.map((id, n) => processes[n % 2]!.change(id)));
      await allSee(watchers.slice(0, ids.length), version);
    }
    proxy.restore();
    await allSee(watchers, 3, 10_000);
    await Promise.all(ids.map((id, n) => processes[n % 2]!.change(id)));
    await allSee(watchers, 4);
  },
);

test("changes by the process itself are seen without NATS and at once", async () => {
  const { startProcess, ids } = await openThings();
  const bus = await openTestBus();
  const { watch, change, notices } = await startProcess({ ...bus, isConnected: () => false });
  const watchers = ids.map(watch);
  for (let version = 1; version <= 10; version++) {
    await Promise.all(ids.map((id) => change(id)));
    await allSee(watchers, version);
  }
  expect(notices.isLive()).toBe(false);
});
