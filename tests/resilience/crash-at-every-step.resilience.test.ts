import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { eventually } from "../e2e/eventually.ts";
import { endLeases, expectTold, type Flow, flows, type Journey, type Outcome, observe } from "./crash-flows.ts";
import type { CrashPoint, Instructions, Step } from "./crash-points.ts";
import { type CrashShop, startCrashShop } from "./crash-shop.ts";

// Each flow is taken while its steps are recorded, in two shops at once; then once for each moment before and after one of
// them, to die there. So a step that the product learns to take later is covered by itself.
const lanes = 2;
/** From a restart until all is well: a second or two on a quiet machine. */
const convergeMs = 30_000;

const dataDir = await mkdtemp(join(tmpdir(), "shop-crashes-"));
const shops = await openShops();
const idle = [...shops];
const waiting: ((shop: CrashShop) => void)[] = [];
const recordings = new Map<Flow, readonly Recording[]>();
for (const flow of flows) recordings.set(flow, await Promise.all(shops.map((shop) => record(shop, flow))));

afterAll(async () => {
  await Promise.all(shops.map((shop) => shop.stop()));
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

/** All of them, or none that is left running. */
async function openShops(): Promise<CrashShop[]> {
  const attempts = Array.from({ length: lanes }, (_, n) => startCrashShop(join(dataDir, `${n}`)));
  try {
    return await Promise.all(attempts);
  } catch (error) {
    for (const attempt of attempts) await attempt.then((shop) => shop.stop()).catch(() => {});
    throw error;
  }
}

/** What a flow did when nothing died. */
interface Recording {
  readonly steps: readonly Step[];
  /** Why it did not get where it should have. */
  readonly failure: unknown;
}

/** Lends one of the shops, to one at a time. */
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

/** Resolves once what there is has been one of these twice in a row: nothing is still going on then. */
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
  /** The first message of the stream of orders that may tell of it. */
  readonly firstSeq: number;
}

async function prepare(shop: CrashShop, flow: Flow): Promise<Prepared> {
  await shop.recover();
  const { state } = await shop.jetstream.streams.info("orders");
  const journey = await flow.prepare(shop);
  const before = await observe(shop, journey.name, { asPublic: !flow.startsDead });
  return { journey, before, firstSeq: state.last_seq + 1 };
}

async function setOut(shop: CrashShop, flow: Flow, instructions: Instructions): Promise<void> {
  const { service, startsDead, together } = flow;
  const told = {
    ...instructions,
    ...(together && { together }),
    log: shop.logOf(service),
    withSweeps: startsDead ?? false,
  };
  if (startsDead) await shop.start(service, told);
  else await shop.instruct(service, told);
}

async function record(shop: CrashShop, flow: Flow): Promise<Recording> {
  let failure: unknown;
  try {
    const { journey } = await prepare(shop, flow);
    await setOut(shop, flow, {});
    await journey.act();
    await becomes(shop, journey, [journey.outcome], { asPublic: false });
  } catch (error) {
    failure = error;
  }
  return { steps: shop.stepsOf(flow.service).filter(({ name }) => !flow.except?.test(name)), failure };
}

/**
 * Every moment to die at: before a step, between its statements, and when it is done but not answered. After a read the
 * servers are as they were before it, so that is one moment.
 */
function pointsOf({ name: step, statements }: Step): (CrashPoint & { readonly when: string })[] {
  const isRead = /^(find|sweep|look|aggregate|count|distinct) /.test(step);
  return Array.from({ length: isRead ? 1 : statements + 1 }, (_, done) => ({
    step,
    done,
    when: done === 0 ? "before" : done === statements ? "after" : `after ${done} of ${statements} statements of`,
  }));
}

describe("wherever a service dies, what was accepted reaches its end, and nothing happens twice", () => {
  describe.each(flows)("$name", (flow) => {
    const [first, ...others] = recordings.get(flow)!;
    const steps = first!.steps;

    test("gets where it leads, and takes the same steps each time", () => {
      const names = (some: readonly Step[]) => some.map(({ name }) => name).toSorted();
      for (const { failure } of recordings.get(flow)!) if (failure !== undefined) throw failure;
      for (const other of others) expect(names(other.steps)).toEqual(names(steps));
      expect(names(steps)).toEqual(expect.arrayContaining([...flow.has]));
    });

    test.concurrent.for(steps.flatMap(pointsOf))(
      `${flow.name}: $when $step`,
      { timeout: 4 * convergeMs },
      async ({ step, done }) => {
        await inShop(async (shop) => {
          const { journey, before, firstSeq } = await prepare(shop, flow);
          await setOut(shop, flow, { crash: { step, done } });
          const wasAccepted = journey.act().then(
            () => true,
            () => false,
          );
          if (!(await shop.hasDied(flow.service))) {
            const taken = shop.stepsOf(flow.service).map(({ name }) => name);
            throw new Error(`the planned crash did not happen; these steps were taken: ${taken.join(", ")}`);
          }
          // What a job has leased would run out before its clock calls again.
          if (flow.startsDead) await endLeases(shop, flow.service);
          await shop.start(flow.service);
          const { outcome, orElse = [], partly = [] } = journey;
          const ends = [outcome, ...orElse];
          // Nobody asks again: it gets where it leads, or it was never accepted.
          await becomes(shop, journey, (await wasAccepted) ? ends : [before, ...partly, ...ends]);
          // The same request again.
          await eventually(journey.act, { timeoutMs: convergeMs });
          await becomes(shop, journey, ends);
          await expectTold(shop, journey, firstSeq);
        });
      },
    );
  });
});
