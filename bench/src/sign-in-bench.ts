import { hashFloor } from "./hash-floor.ts";
import { type LoadResult, load, type Request, refusalsOf } from "./load.ts";
import { mean } from "./mean.ts";
import { percentile } from "./percentile.ts";
import { residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import type { Account } from "./shopping.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 200;
const usualSeconds = 20;
const usualConnections = 200;
/** The default number of concurrent hashes of the users service. */
const hashesAtOnce = 2;
const readsPerSecond = 100;
const samplesOfEach = 300;
const sampleEveryMs = 1_000;
const json = { "content-type": "application/json" };

/** The effect of a storm of sign-ins on itself and on other calls, and whether response times reveal existing names. */
export async function benchSignIns(settings: BenchSettings): Promise<string> {
  const connections = settings.connections ?? usualConnections;
  const seconds = settings.seconds ?? usualSeconds;
  const env = { PASSWORD_HASHES_WAITING: String(connections), PASSWORD_HASHES_AT_ONCE: String(hashesAtOnce) };
  return await withShop(
    productCount,
    async (shop, shopping, productIds) => {
      const accounts = await shopping.newAccounts(Math.max(connections, samplesOfEach));
      const signIns = accounts.map((account): Request => {
        return { method: "POST", path: "/authenticate", headers: json, body: JSON.stringify(account) };
      });
      const reads = productIds.map((id): Request => ({ method: "GET", path: `/products/${id}` }));
      const read = () =>
        load({ url: shop.url, requests: reads, connections: 8, seconds, callsPerSecond: readsPerSecond });
      const signIn = (callers: number) => load({ url: shop.url, requests: signIns, connections: callers, seconds });

      const times = await timesOf(shop.url, accounts);
      await signIn(hashesAtOnce);
      await read();
      const calm = await read();

      const floors = { loop: [] as number[], threads: [] as number[] };
      const alone: LoadResult[] = [];
      while (alone.length < settings.rounds) {
        floors.loop.push(await hashFloor({ by: "loop", atOnce: hashesAtOnce, seconds }));
        alone.push(await signIn(connections));
        floors.threads.push(await hashFloor({ by: "threads", atOnce: hashesAtOnce, seconds }));
        const [loop, signIns, threads] = [floors.loop.at(-1)!, alone.at(-1)!.perSecond, floors.threads.at(-1)!];
        console.log(
          `sign-ins: ${signIns.toFixed(1)}/s; a loop ${loop.toFixed(1)}/s, bare threads ${threads.toFixed(1)}/s`,
        );
      }

      const pid = shop.pidOf("all-in-one");
      const memory = [residentBytes(pid)];
      const sampling = setInterval(() => memory.push(residentBytes(pid)), sampleEveryMs);
      const [storm, during] = await Promise.all([signIn(connections), read()]);
      clearInterval(sampling);
      const [overflow, beside] = await Promise.all([signIn(2 * connections), read()]);
      return describe({ connections, seconds, floors, alone, calm, storm, during, overflow, beside, memory, times });
    },
    env,
  );
}

interface Times {
  readonly unknown: readonly number[];
  readonly wrong: readonly number[];
}

/** The duration of a refusal, for an unknown name and for a wrong password, alternating, without load; ascending. */
async function timesOf(url: string, accounts: readonly Account[]): Promise<Times> {
  const times = { unknown: [] as number[], wrong: [] as number[] };
  const attempt = async (username: string) => {
    const body = JSON.stringify({ username, password: "not-the-right-one" });
    const startedAt = performance.now();
    const response = await fetch(`${url}/authenticate`, { method: "POST", headers: json, body });
    await response.arrayBuffer();
    if (response.status !== 401) throw new Error(`a wrong password was answered with ${response.status}`);
    return performance.now() - startedAt;
  };
  for (const { username } of accounts.slice(0, samplesOfEach)) {
    times.wrong.push(await attempt(username));
    times.unknown.push(await attempt(`nobody-${crypto.randomUUID().slice(0, 13)}`));
  }
  const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b);
  return { unknown: sorted(times.unknown), wrong: sorted(times.wrong) };
}

/**
 * The probability that a value of one is greater than one of the other: 0.5 if they can't be distinguished (Mann and
 * Whitney).
 */
function oftenGreater(these: readonly number[], those: readonly number[]): number {
  const greater = these.reduce((sum, value) => sum + those.filter((other) => value > other).length, 0);
  return greater / (these.length * those.length);
}

function describe(run: {
  readonly connections: number;
  readonly seconds: number;
  readonly floors: { readonly loop: readonly number[]; readonly threads: readonly number[] };
  readonly alone: readonly LoadResult[];
  readonly calm: LoadResult;
  readonly storm: LoadResult;
  readonly during: LoadResult;
  readonly overflow: LoadResult;
  readonly beside: LoadResult;
  readonly memory: readonly number[];
  readonly times: Times;
}): string {
  const { connections, seconds, floors, alone, times } = run;
  const rate = mean(alone.map(({ perSecond }) => perSecond));
  const row = (name: string, turn: LoadResult) => {
    const figures = [turn.perSecond, turn.p50Ms, turn.p99Ms].map((figure) => figure.toFixed(1));
    return [name, ...figures, refusalsOf(turn), String(turn.lost), ""];
  };
  const floorRow = (name: string, rates: readonly number[]) => {
    return [name, mean(rates).toFixed(1), "", "", "", "", (rate / mean(rates)).toFixed(2)];
  };
  const quantiles = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
  const timesRow = (name: string, values: readonly number[]) => [
    name,
    ...quantiles.map((share) => percentile(values, share).toFixed(1)),
  ];
  return [
    `${connections} connections sign in over REST, each again as soon as it is answered, at the public port of the shop in one process`,
    `(PASSWORD_HASHES_AT_ONCE=${hashesAtOnce}, PASSWORD_HASHES_WAITING=${connections}), for ${seconds} s at a time. **Floors**: a process that compares passwords at the same cost, ${hashesAtOnce}`,
    `at a time, and does nothing else: awaited in a loop, or by ${hashesAtOnce} threads without an event loop. Reads are GET /products/{id}, ${readsPerSecond} a second. All processes share the machine's cores.`,
    "",
    ...table(
      ["", "a second", "p50 ms", "p99 ms", "refused", "lost", "sign-ins to this"],
      [
        floorRow("floor: a loop", floors.loop),
        floorRow("floor: bare threads", floors.threads),
        ...alone.map((turn) => row("sign-ins", turn)),
        row("reads without load", run.calm),
        row("reads during the storm", run.during),
        row("sign-ins beside these reads", run.storm),
        row(`sign-ins of ${2 * connections} connections`, run.overflow),
        row("reads beside those", run.beside),
      ],
    ),
    "",
    `Resident memory of the shop during the storm, every second, in MiB: ${run.memory.map((bytes) => Math.round(bytes / 2 ** 20)).join(", ")}.`,
    "",
    `How long a refused sign-in takes, ${times.wrong.length} of each in turn, in milliseconds:`,
    "",
    ...table(
      ["", ...quantiles.map((share) => `p${share * 100}`)],
      [timesRow("wrong password", times.wrong), timesRow("unknown name", times.unknown)],
    ),
    "",
    `A wrong password took longer than an unknown name in ${(100 * oftenGreater(times.wrong, times.unknown)).toFixed(0)}% of all pairs.`,
  ].join("\n");
}
