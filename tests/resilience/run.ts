import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MongoClient } from "mongodb";
import { type Account, buy, type Habits, keepShop, signIn, signUp, usualHabits } from "./buyers.ts";
import { check, type Observed, type Problem, type ProblemKind } from "./checker.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { describeFault, type FaultChoice, type FaultLog, injectFaults, planFaults } from "./nemesis.ts";
import { countEntries, type Decided, decidedOrders, isQuiet, observe } from "./observe.ts";
import { type Random, seededRandom } from "./random.ts";
import { acceptedIds, type History, type Recorder, startRecord } from "./record.ts";

/** Length and size of a run. The same seed gives the same faults, and the same requests of the same buyers. */
export interface RunSettings {
  readonly seed: number;
  readonly faultSeconds: number;
  readonly buyers: number;
  readonly products: number;
  /** Of each product, before the clerk's adjustments: less than the demand. */
  readonly stock: number;
  /** The permitted faults; all by default. */
  readonly faults?: FaultChoice;
  /** Differences from the usual habits of buyers. */
  readonly habits?: Partial<Habits>;
  /** Empty; holds data and logs. */
  readonly dataDir: string;
  /** The repository whose services run. */
  readonly root: string;
  readonly log: (line: string) => void;
}

export interface RunResult {
  readonly seed: number;
  readonly faultLog: FaultLog;
  readonly history: History;
  readonly observed: Observed;
  readonly problems: readonly Problem[];
  /** From the last fault until no problem was left; undefined if that never happened. */
  readonly convergedMs: number | undefined;
  readonly decided: readonly Decided[];
  /** The number of each error message in the services' logs. */
  readonly errors: Readonly<Record<string, number>>;
}

/** Since the last fault. */
export const convergeWithinMs = 30_000;
/** A catalogue answer may be as old as the cache's time to live, and the report should list all problems. */
const giveUpAfterMs = 60_000;
/** Problems that waiting does not resolve. */
const forGood: readonly ProblemKind[] = ["lost", "doubled", "changed", "move lost", "oversold", "orphan"];

/** Starts a shop, runs buyers and the nemesis, then checks every guarantee. It stops all that it started. */
export async function runChaos(settings: RunSettings): Promise<RunResult> {
  const { seed, log } = settings;
  const random = seededRandom(seed);
  const faults = planFaults(random.fork("faults"), settings.faultSeconds * 1_000, settings.faults);
  log(`seed ${seed}, ${faults.length} faults:`);
  for (const fault of faults) log(`  ${describeFault(fault)}`);

  const fleet = await startFleet({ ...settings, random: random.fork("fleet") });
  const mongo = new MongoClient(fleet.mongodbUri, { readConcernLevel: "majority", serverSelectionTimeoutMS: 5_000 });
  try {
    const recorder = startRecord();
    const admin = await signIn(fleet.url, fleet.admin.username, fleet.admin.password);
    await stockUp(admin, recorder, settings);
    log(`${settings.products} products, ${settings.buyers} buyers`);
    const faultLog = await shopUnderFaults(fleet, admin, recorder, random, settings, () =>
      injectFaults(fleet, faults, log),
    );
    log("the faults are over");
    const ended = await converge(admin, mongo, fleet.natsUrl, recorder.history, faultLog.lastHitAt, log);
    return {
      seed,
      faultLog,
      history: recorder.history,
      ...ended,
      decided: await decidedOrders(mongo),
      errors: loggedErrors(join(settings.dataDir, "logs")),
    };
  } finally {
    await mongo.close();
    await fleet.stop();
  }
}

/** Adds products, and records them. */
export async function stockUp(
  admin: Account,
  recorder: Recorder,
  { products, stock }: Pick<RunSettings, "products" | "stock">,
): Promise<void> {
  for (let index = 0; index < products; index++) {
    const { product } = await admin.inventory.createProduct({
      product: { name: `Thing ${index}`, category: "Things", price: { currencyCode: "EUR", minorUnits: 995n }, stock },
    });
    recorder.stocked({ productId: product!.productId, stock });
  }
}

/** Buyers order during the faults, then stop placing orders, and end when every request has a certain answer. */
async function shopUnderFaults(
  fleet: Fleet,
  admin: Account,
  recorder: Recorder,
  random: Random,
  settings: RunSettings,
  faultLog: () => Promise<FaultLog>,
): Promise<FaultLog> {
  const closing = new AbortController();
  const closed = new AbortController();
  const until = { closing: closing.signal, closed: closed.signal };
  const habits = { ...usualHabits, ...settings.habits };
  const names = Array.from({ length: settings.buyers }, (_, index) => `buyer-${settings.seed}-${index + 1}`);
  const accounts: Account[] = [];
  for (const name of names) accounts.push(await signUp(fleet.url, name));
  const crowd = [
    ...accounts.map((account, index) =>
      buy(account, names[index]!, { recorder, random: random.fork(names[index]!), habits, until }),
    ),
    keepShop(admin, { recorder, random: random.fork("clerk"), until }),
  ];
  try {
    return await faultLog();
  } finally {
    closing.abort();
    const goHome = setTimeout(() => closed.abort(), convergeWithinMs);
    await Promise.all(crowd);
    clearTimeout(goHome);
  }
}

/** Waits until the shop is quiet, and checks it; again while a problem may still resolve. */
export async function converge(
  admin: Account,
  mongo: MongoClient,
  natsUrl: string,
  history: History,
  lastHitAt: number,
  log: (line: string) => void,
): Promise<Pick<RunResult, "observed" | "problems" | "convergedMs">> {
  const productIds = history.products.map(({ productId }) => productId);
  await admin.renew();
  let [entries, entriesSince] = [-1, 0];
  for (;;) {
    const isLate = Date.now() - lastHitAt > giveUpAfterMs;
    try {
      // A complete read takes long, so pending ledger entries get time to arrive first.
      const written = await countEntries(mongo);
      if (written !== entries) [entries, entriesSince] = [written, Date.now()];
      const quiet = Date.now() - entriesSince > 1_000 && (await isQuiet(admin, mongo));
      if (isLate || quiet) {
        const askedAt = Date.now();
        const observed = await observe(admin, mongo, natsUrl, productIds);
        const problems = check(history, observed);
        if (problems.length === 0) return { observed, problems, convergedMs: askedAt - lastHitAt };
        if (isLate || problems.some(({ kind }) => forGood.includes(kind))) {
          return { observed, problems, convergedMs: undefined };
        }
      }
    } catch (error) {
      log(`the shop is not reachable yet: ${error}`);
      if (Date.now() - lastHitAt > 2 * giveUpAfterMs) throw error;
    }
    await delay(250);
  }
}

function loggedErrors(folder: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const file of readdirSync(folder)) {
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      if (!/^\{"level":"(error|fatal)"/.test(line)) continue;
      const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
      const what = `${file.replace(/(-\d)?\.log$/, "")}: ${msg}: ${err?.message ?? ""}`.slice(0, 200);
      counts[what] = (counts[what] ?? 0) + 1;
    }
  }
  return counts;
}

/** A summary of the run in a few lines. */
export function describeRun(run: RunResult): string {
  const { seed, faultLog, history, observed, problems, convergedMs, decided, errors } = run;
  const decisionMs = decided.map(({ placedAt, decidedAt }) => decidedAt - placedAt).toSorted((a, b) => a - b);
  const count = (kind: Problem["kind"]) => problems.filter((problem) => problem.kind === kind).length;
  const statuses = Object.entries(Object.groupBy(observed.orders, ({ status }) => status));
  const codes = Object.groupBy(
    history.requests.flatMap(({ answers }) => answers),
    (answer) => (answer.kind === "accepted" ? "accepted" : `${answer.kind} ${answer.code}`),
  );
  const actions = Object.entries(Object.groupBy(faultLog.injected, ({ action }) => action));
  return [
    `seed ${seed}: ${actions.map(([action, faults]) => `${action} ${faults!.length}`).join(", ")}; ` +
      `died alone: ${faultLog.diedAlone.join(", ") || "none"}`,
    `accepted ${acceptedIds(history).size} orders of ${history.requests.length} requests; lost ${count("lost")}, ` +
      `doubled ${count("doubled")}, oversold ${count("oversold")}, stuck ${count("stuck")}, other problems ` +
      `${problems.length - count("lost") - count("doubled") - count("oversold") - count("stuck")}`,
    `ended as ${statuses.map(([status, orders]) => `${status} ${orders!.length}`).join(", ")}`,
    `answers: ${Object.entries(codes)
      .map(([what, answers]) => `${what} ${answers!.length}`)
      .join(", ")}`,
    ...Object.entries(
      Object.groupBy(
        history.requests.flatMap(({ answers }) => answers.filter((answer) => answer.kind === "unknown")),
        ({ message }) => message.replaceAll(/\d+/g, "#").slice(0, 120),
      ),
    ).map(([message, answers]) => `answered ${answers!.length} times: ${message}`),
    `converged ${convergedMs === undefined ? "never" : `${(convergedMs / 1000).toFixed(1)} s after the last hit`}`,
    `decided within: p50 ${decisionMs[Math.floor(decisionMs.length / 2)]} ms, ` +
      `p99 ${decisionMs[Math.floor(decisionMs.length * 0.99)]} ms, slowest ${decisionMs.at(-1)} ms`,
    ...problems.slice(0, 30).map(({ kind, about, what }) => `${kind}: ${about} ${what}`),
    ...Object.entries(errors).map(([what, times]) => `logged ${times} times: ${what}`),
  ].join("\n");
}
