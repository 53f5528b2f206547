import { percentile } from "./percentile.ts";
import { runChaosOnce } from "./resilience.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";

/** The victims of `--victim each`, each in its own shop. */
const eachAlone = [
  "orders",
  "inventory",
  "users",
  "gateway",
  "mongo-primary",
  "mongo-secondary",
  "nats",
  "redis",
  "links",
];

/** The reported part of a fault run's result (tests/resilience/chaos.ts). */
interface ChaosReport {
  readonly seed: number;
  readonly injected: readonly InjectedFault[];
  readonly diedAlone: readonly string[];
  readonly requests: number;
  /** The times of each accepted order's first answer, ascending. */
  readonly acceptedAt: readonly number[];
  /** The times of decisions, ascending. */
  readonly decidedAt: readonly number[];
  readonly orders: Readonly<Record<string, number>>;
  readonly problems: readonly { readonly kind: string; readonly about: string; readonly what: string }[];
  readonly convergedMs?: number;
  readonly decisionMs: readonly number[];
}

interface InjectedFault {
  readonly victim: string;
  readonly action: string;
  readonly hitAt: number;
  readonly healedAt: number;
  readonly readyAt?: number;
}

/** Injects faults into all victims in turn, or into each alone, while buyers buy; then reports violated guarantees. */
export async function benchChaos({ seed, minutes = 5, victim, buyers }: BenchSettings): Promise<string> {
  const chosen = victim === "each" ? eachAlone : [victim];
  const sections: string[] = [];
  for (const victims of chosen) {
    const report = (await runChaosOnce({
      seed,
      victims,
      buyers,
      faultSeconds: minutes * 60,
      products: 200,
      // About half of the demand.
      stock: Math.ceil(30 * Math.max(1, minutes)),
    })) as ChaosReport;
    if (report.problems.length > 0 || report.diedAlone.length > 0) process.exitCode = 1;
    sections.push(`## ${victims}`, "", describe(report), "");
  }
  return [
    "The split shop, two replicas of orders and inventory, on three mongod, three NATS servers and Redis. Buyers place orders of",
    "several lines for less stock than the demand, retry, send twice, reuse keys and cancel, a clerk ships and adjusts stock,",
    "and the bus duplicates, delays and swaps events, while a schedule determined by the seed kills (SIGKILL) and pauses (SIGSTOP)",
    "one process after the other and slows, resets and cuts links. Then a checker that shares no code with the product compares",
    "the clients' answers with the public API and the ledger.",
    "",
    ...sections,
    "By victim, in seconds (median, p99): from the fault to the next accepted order; from the restart, SIGCONT or restored link to the",
    "next accepted order, and to the next decision; from the restart of a service until it is ready.",
  ].join("\n");
}

function describe(report: ChaosReport): string {
  const { injected, acceptedAt, decidedAt, problems, decisionMs } = report;
  const count = (kind: string) => problems.filter((problem) => problem.kind === kind).length;
  const named = ["lost", "doubled", "oversold", "stuck"];
  const others = problems.filter(({ kind }) => !named.includes(kind)).length;
  const healed = medianAndP99(injected.map(({ healedAt }) => nextOf(acceptedAt, healedAt)));
  const rows = [...new Set(injected.map(({ victim }) => victim))].toSorted().map((victim) => {
    const own = injected.filter((fault) => fault.victim === victim);
    return [
      victim,
      faultsOf(own),
      medianAndP99(own.map(({ hitAt }) => nextOf(acceptedAt, hitAt))),
      medianAndP99(own.map(({ healedAt }) => nextOf(acceptedAt, healedAt))),
      medianAndP99(own.map(({ healedAt }) => nextOf(decidedAt, healedAt))),
      medianAndP99(own.flatMap(({ healedAt, readyAt }) => (readyAt === undefined ? [] : [readyAt - healedAt]))),
    ];
  });
  return [
    ...table(
      ["", ""],
      [
        ["seed", String(report.seed)],
        ["**processes killed**", `**${killsOf(injected)}**`],
        ["all faults", faultsOf(injected)],
        ["orders requested", String(report.requests)],
        ["**orders accepted**", `**${acceptedAt.length}**`],
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
        ["other violations", String(others)],
        ["processes that died without being killed", report.diedAlone.join(", ") || "none"],
        ["**from the last fault until no problem was left, seconds**", `**${seconds(report.convergedMs)}**`],
        ["from a restart or restored link to the next accepted order, median, p99, seconds", healed],
        [
          "from placing to the decision, p50, p99, slowest, seconds",
          [0.5, 0.99, 1].map((share) => seconds(percentile(decisionMs, share))).join(", "),
        ],
      ],
    ),
    "",
    ...table(
      ["victim", "faults", "fault to order", "recovery to order", "recovery to decision", "recovery to ready"],
      rows,
    ),
    ...problems.slice(0, 50).map(({ kind, about, what }) => `\n${kind}: ${about} ${what}`),
  ].join("\n");
}

/** A stranded primary is killed with its two secondaries. */
function killsOf(faults: readonly InjectedFault[]): number {
  return faults.reduce((sum, { action }) => sum + (action === "kill" ? 1 : action === "strand" ? 3 : 0), 0);
}

function faultsOf(faults: readonly InjectedFault[]): string {
  return Object.entries(Object.groupBy(faults, ({ action }) => action))
    .map(([action, some]) => `${action} ${some!.length}`)
    .toSorted()
    .join(", ");
}

/** The time from `at` to the first of `times` after it; undefined without one. */
function nextOf(times: readonly number[], at: number): number | undefined {
  const next = times.find((time) => time >= at);
  return next === undefined ? undefined : next - at;
}

function medianAndP99(values: readonly (number | undefined)[]): string {
  const sorted = values.map((value) => value ?? Number.POSITIVE_INFINITY).toSorted((a, b) => a - b);
  return sorted.length === 0 ? "" : [0.5, 0.99].map((share) => seconds(percentile(sorted, share))).join(", ");
}

function seconds(ms: number | undefined): string {
  return ms === undefined || !Number.isFinite(ms) ? "never" : (ms / 1000).toFixed(1);
}
