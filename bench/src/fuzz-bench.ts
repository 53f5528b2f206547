import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { choosePorts } from "@shop/tools/infra";
import { residentBytes } from "./resident-bytes.ts";
import type { BenchSettings } from "./settings.ts";
import { withShop } from "./with-shop.ts";

const usualMinutes = 60;
const script = join(resolve(import.meta.dirname, "../.."), "tests/hostile-peers/fuzz.ts");

/** The result of tests/hostile-peers/fuzz.ts. */
interface FuzzReport {
  readonly played: number;
  readonly answered: number;
  readonly before: Vitals;
  readonly after: Vitals;
}

interface Vitals {
  readonly sockets: number;
  readonly heapBytes: number;
  readonly exceptions: number;
  readonly networkErrors: number;
}

/** Fuzzes every port of a shop in one process for some minutes; reports whether it survived, and its memory. */
export async function benchFuzz({ seed, minutes = usualMinutes }: BenchSettings): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "shop-fuzz-"));
  const { metrics } = await choosePorts(join(folder, "ports.json"), { metrics: 1 });
  const metricsPort = metrics![0]!;
  await rm(folder, { recursive: true });
  return await withShop(
    10,
    async (shop) => {
      const pid = shop.pidOf("all-in-one");
      const rssBefore = residentBytes(pid);
      const report = await askFuzzer({
        seed,
        seconds: minutes * 60,
        metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
        targets: targetsOf([...shop.portsOf("all-in-one"), metricsPort]),
      });
      const lived = shop.pidOf("all-in-one") === pid;
      if (!lived || report.after.exceptions > 0) process.exitCode = 1;
      return describe({ seed, minutes, lived, rss: [rssBefore, residentBytes(pid)], report });
    },
    { METRICS_PORT: String(metricsPort) },
  );
}

function targetsOf(ports: readonly number[]) {
  const inventory = "shop.inventory.v1.InventoryService";
  const paths = { unary: `${inventory}/ListProducts`, stream: `${inventory}/WatchStock`, rest: "/products" };
  return ports.map((port) => ({ port, paths }));
}

/** In its own process, because the fuzzer belongs to the tests. */
async function askFuzzer(task: Readonly<Record<string, unknown>>): Promise<FuzzReport> {
  const child = fork(script, [JSON.stringify(task)]);
  const stopped = once(child, "exit");
  const answer = new Promise<FuzzReport>((resolve) => child.once("message", (report) => resolve(report as FuzzReport)));
  const report = await Promise.race([answer, stopped.then(() => undefined)]);
  if (report === undefined) throw new Error(`the fuzzer ended without an answer: ${JSON.stringify(task)}`);
  await stopped;
  return report;
}

function describe(run: {
  readonly seed: number;
  readonly minutes: number;
  readonly lived: boolean;
  readonly rss: readonly [before: number, after: number];
  readonly report: FuzzReport;
}): string {
  const { played, answered, before, after } = run.report;
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  return [
    "Mutated frames, header blocks, lines and bytes of HTTP/1.1 and HTTP/2, with arbitrary packet boundaries, from peers that reset,",
    "close or leave, against the public port, the services' ports and the metrics port of a shop in one process.",
    "",
    `- seed ${run.seed}, ${run.minutes} minutes, ${played} connections, ${answered} of them answered`,
    `- the process ${run.lived ? "lived" : "DIED"}; exceptions contained: ${after.exceptions}; errors counted: ${after.networkErrors}`,
    `- heap ${mib(before.heapBytes)} after warming up, ${mib(after.heapBytes)} half a minute after the end; resident ` +
      `${mib(run.rss[0])} and ${mib(run.rss[1])}; sockets ${before.sockets} and ${after.sockets}`,
  ].join("\n");
}
