import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { eventually } from "../e2e/eventually.ts";
import { endLeases, expectPublished, type Flow, flows, type Journey, type Outcome, observe } from "./crash-flows.ts";
import { type CrashShop, startCrashShop } from "./crash-shop.ts";
import type { CrashPoint, Instructions, Step } from "./step-proxy.ts";

// Each flow runs while its steps are recorded, in two shops at once; then once for each state in which a crash can
// leave the servers. So a step that is added to the product later is covered automatically.
//
// Takes minutes: each of about 120 crashes ends a process, loads another, and waits until the dead one's leases and ack waits
// have expired. Most of that is waiting, so there are more shops than cores.
const lanes = 3;
/** Shops that record, to be compared. */
const recorders = 2;
/** From a restart until all invariants hold: a second or two on an idle machine. */
const convergeMs = 30_000;

const dataDir = await mkdtemp(join(tmpdir(), "shop-crashes-"));
const shops = await openShops();
const idle = [...shops];
const waiting: ((shop: CrashShop) => void)[] = [];
const recordings = new Map<Flow, readonly Recording[]>();
for (const flow of flows)
  recordings.set(flow, await Promise.all(shops.slice(0, recorders).map((shop) => record(shop, flow))));

afterAll(async () => {
  await Promise.all(shops.map((shop) => shop.stop()));
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

/** Starts all of them, or stops those that started if one fails. */
async function openShops(): Promise<CrashShop[]> {
  const attempts = Array.from({ length: lanes }, (_, n) => startCrashShop(join(dataDir, `${n}`)));
  try {
    return await Promise.all(attempts);
  } catch (error) {
    for (const attempt of attempts) await attempt.then((shop) => shop.stop()).catch(() => {});
    throw error;
  }
}

/** A flow without a crash. */
interface Recording {
  /** In the order in which they happened, with those that belong to another flow. */
  readonly taken: readonly Step[];
  readonly steps: readonly Step[];
  /** Why it did not reach its result. */
  readonly failure: unknown;
}

/** Lends a shop to one caller at a time. */
async function inShop<T>(work: (shop: CrashShop) => Promise<T>): Promise<T> {
  const shop = idle.pop() ?? (await new Promise<CrashShop>((resolve) => waiting.push(resolve)));
  try {
    return await work(shop);
  } finally {
    const next = waiting.shift();
    if (next === undefined) idle.push(shop);
    else next(shop);
  }
}

/** Resolves once the state was one of these twice in a row, so no work is in progress. */
async function becomes(
  shop: CrashShop,
  { name }: Journey,
  either: readonly Outcome[],
  options?: Parameters<typeof observe>[2],
): Promise<void> {
  const check = async () => {
    const observed = await observe(shop, name, options);
    if (either.length === 1) expect(observed).toEqual(either[0]);
    else expect(either).toContainEqual(observed);
  };
  await eventually(
    async () => {
      await check();
      await check();
    },
    { timeoutMs: convergeMs, everyMs: 50 },
  );
}

interface Prepared {
  readonly journey: Journey;
  readonly before: Outcome;
  /** The sequence of the first message in the orders stream that may belong to it. */
  readonly firstSeq: number;
}

async function prepare(shop: CrashShop, flow: Flow): Promise<Prepared> {
  await shop.recover();
  const { state } = await shop.jetstream.streams.info("orders");
  const journey = await flow.prepare(shop);
  const before = await observe(shop, journey.name, { asPublic: !flow.startsDead });
  return { journey, before, firstSeq: state.last_seq + 1 };
}

function setOut(shop: CrashShop, flow: Flow, instructions: Instructions): void {
  const { service, startsDead, together } = flow;
  const plan = { ...instructions, ...(together && { together }), withSweeps: startsDead ?? false };
  if (startsDead) shop.start(service, plan);
  else shop.instruct(service, plan);
}

async function record(shop: CrashShop, flow: Flow): Promise<Recording> {
  let failure: unknown;
  try {
    const { journey } = await prepare(shop, flow);
    setOut(shop, flow, {});
    await journey.act();
    await becomes(shop, journey, [journey.outcome], { asPublic: false });
  } catch (error) {
    failure = error;
  }
  const taken = shop.stepsOf(flow.service);
  return { taken, steps: taken.filter(({ name }) => !flow.except?.test(name)), failure };
}

interface Moment extends CrashPoint {
  readonly when: string;
}

/**
 * Every state of the servers in which a process may die, once each: before a step, between its statements, and when the
 * last one is done but not answered. A crash after a step leaves the same state as one before the next step, in which the
 * step may also have been answered, which is the stricter case; a read changes no state. Where the recordings differ in
 * their order, steps are concurrent, and the next one is not known: then the test crashes before and after each.
 */
function momentsOf([first, ...others]: readonly Recording[]): Moment[] {
  const orderOf = ({ taken }: Recording) => taken.map(({ name }) => name).join("\n");
  const isInTurn = others.every((other) => orderOf(other) === orderOf(first!));
  const moments = new Map<string, Moment>();
  let written = 0;
  for (const [index, step] of first!.taken.entries()) {
    const { name, statements } = step;
    const isRead = /^(find|sweep|look|aggregate|count|distinct) /.test(name);
    const isOurs = first!.steps.includes(step);
    // Keyed by the number of the state before it, so that of several crashes in one state the last remains.
    const note = (state: string, done: number, when: string) =>
      isOurs && moments.set(isInTurn ? state : `${index}.${done}`, { step: name, done, when });
    note(`${written}`, 0, "before");
    if (isRead) continue;
    for (let done = 1; done < statements; done++)
      note(`${written}.${done}`, done, `after ${done} of ${statements} statements of`);
    written++;
    note(`${written}`, statements, "after");
  }
  return [...moments.values()];
}

describe("wherever a service crashes, accepted requests complete, and none has its effect twice", () => {
  describe.each(flows)("$name", (flow) => {
    const [first, ...others] = recordings.get(flow)!;
    const steps = first!.steps;
    const moments = momentsOf(recordings.get(flow)!);

    test("reaches its result, with the same steps each time", () => {
      const names = (some: readonly Step[]) => some.map(({ name }) => name).toSorted();
      for (const { failure } of recordings.get(flow)!) if (failure !== undefined) throw failure;
      for (const other of others) expect(names(other.steps)).toEqual(names(steps));
      expect(names(steps)).toEqual(expect.arrayContaining([...flow.has]));
    });

    test.concurrent.for(moments)(`${flow.name}: $when $step`, { timeout: 4 * convergeMs }, async ({ step, done }) => {
      await inShop(async (shop) => {
        const { journey, before, firstSeq } = await prepare(shop, flow);
        setOut(shop, flow, { crash: { step, done } });
        const wasAccepted = journey.act().then(
          () => true,
          () => false,
        );
        if (!(await shop.hasDied(flow.service))) {
          const taken = shop.stepsOf(flow.service).map(({ name }) => name);
          throw new Error(`the planned crash did not happen; these steps happened: ${taken.join(", ")}`);
        }
        // A job's lease would expire before its next interval.
        if (flow.startsDead) await endLeases(shop, flow.service);
        shop.start(flow.service);
        const { outcome, orElse = [], partly = [] } = journey;
        const ends = [outcome, ...orElse];
        // Without a retry: it reaches its result, or was never accepted.
        await becomes(shop, journey, (await wasAccepted) ? ends : [before, ...partly, ...ends]);
        // With a retry of the same request.
        await eventually(journey.act, { timeoutMs: convergeMs });
        await becomes(shop, journey, ends);
        await expectPublished(shop, journey, firstSeq);
      });
    });
  });
});
