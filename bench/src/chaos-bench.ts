import { fork } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";

const repositoryRoot = resolve(import.meta.dirname, "../..");

/** What a fault run answers, as far as it is reported here (tests/resilience/chaos.ts). */
interface ChaosReport {
  readonly seed: number;
  readonly injected: readonly {
    readonly victim: string;
    readonly action: "kill" | "pause";
    readonly hitAt: number;
    readonly healedAt: number;
    readonly readyAt?: number;
  }[];
  readonly diedAlone: readonly string[];
  readonly requests: number;
  /** When each accepted order was first answered, in ascending order. */
  readonly acceptedAt: readonly number[];
  readonly orders: Readonly<Record<string, number>>;
  readonly problems: readonly { readonly kind: string; readonly about: string; readonly what: string }[];
  readonly convergedMs?: number;
  readonly decisionMs: readonly number[];
}

/** Kills and pauses everything in turn for so many minutes while buyers buy, then says what is left of the promises. */
export async function benchChaos({ seed, minutes }: BenchSettings): Promise<string> {
  const settings = JSON.stringify({ seed, faultSeconds: minutes * 60, stock: Math.ceil(60 * Math.max(1, minutes)) });
  const run = fork(join(repositoryRoot, "tests/resilience/chaos.ts"), [settings]);
  const stopped = once(run, "exit");
  const answer = new Promise<ChaosReport>((resolve) => run.once("message", (report) => resolve(report as ChaosReport)));
  const report = await Promise.race([answer, stopped.then(() => undefined)]);
  if (report === undefined) throw new Error("the fault run ended without an answer");
  await stopped;
  if (report.problems.length > 0) process.exitCode = 1;
  return describe(report);
}

function describe(report: ChaosReport): string {
  const { injected, acceptedAt, problems, decisionMs } = report;
  const kills = injected.filter(({ action }) => action === "kill").length;
  const count = (kind: string) => problems.filter((problem) => problem.kind === kind).length;
  const named = ["lost", "doubled", "oversold", "stuck"];
  const others = problems.filter(({ kind }) => !named.includes(kind)).length;
  const percentile = (share: number) => seconds(decisionMs[Math.floor((decisionMs.length - 1) * share)]);
  const victims = [...new Set(injected.map(({ victim }) => victim))].toSorted();
  const rows = victims.map((victim) => {
    const own = injected.filter((fault) => fault.victim === victim);
    const worst = (times: readonly (number | undefined)[]) =>
      seconds(times.includes(undefined) ? undefined : Math.max(...(times as number[])));
    const nextAccepted = (at: number) => {
      const next = acceptedAt.find((accepted) => accepted >= at);
      return next === undefined ? undefined : next - at;
    };
    const ready = own.flatMap(({ healedAt, readyAt }) => (readyAt === undefined ? [] : [readyAt - healedAt]));
    return [
      victim,
      String(own.filter(({ action }) => action === "kill").length),
      String(own.filter(({ action }) => action === "pause").length),
      worst(own.map(({ hitAt }) => nextAccepted(hitAt))),
      worst(own.map(({ healedAt }) => nextAccepted(healedAt))),
      ready.length === 0 ? "" : worst(ready),
    ];
  });
  return [
    "The split shop, two replicas of orders and inventory, on three mongod, three NATS servers and Redis. Buyers place orders of",
    "several lines for less stock than they want, retry, send twice, reuse keys and cancel, a clerk ships and corrects the stock,",
    "while a schedule that follows from the seed kills (SIGKILL) and pauses (SIGSTOP) one process after the other. Then a checker",
    "that shares no code with the product compares what clients were told with the public API and the ledger.",
    "",
    ...table(
      ["", ""],
      [
        ["seed", String(report.seed)],
        ["kills, pauses", `${kills}, ${injected.length - kills}`],
        ["orders asked for, accepted", `${report.requests}, ${acceptedAt.length}`],
        [
          "ended as",
          Object.entries(report.orders)
            .map(([status, orders]) => `${status} ${orders}`)
            .join(", "),
        ],
        ["**lost**", `**${count("lost")}**`],
        ["**doubled**", `**${count("doubled")}**`],
        ["**oversold**", `**${count("oversold")}**`],
        ["**stuck**", `**${count("stuck")}**`],
        ["other broken promises", String(others)],
        ["processes that died without being killed", report.diedAlone.join(", ") || "none"],
        ["from the last hit until all was right, seconds", seconds(report.convergedMs)],
        ["from placing to the stock's answer, p50, p99, slowest, seconds", [0.5, 0.99, 1].map(percentile).join(", ")],
      ],
    ),
    "",
    "Worst case by victim, in seconds: from the hit, and from the restart (or SIGCONT), to the next accepted order; from the",
    "restart of a service until it says that it is ready.",
    "",
    ...table(["victim", "kills", "pauses", "hit to order", "restart to order", "restart to ready"], rows),
    ...problems.slice(0, 50).map(({ kind, about, what }) => `\n${kind}: ${about} ${what}`),
  ].join("\n");
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "never" : (ms / 1000).toFixed(1);
}
