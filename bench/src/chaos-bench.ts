import { percentile } from "./percentile.ts";
import { runChaosOnce } from "./resilience.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";

/** What `--victim each` hits, one after the other, each in a shop of its own. */
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

/** A fault run's answer, as far as it is reported here (tests/resilience/chaos.ts). */
interface ChaosReport {
  readonly seed: number;
  readonly injected: readonly InjectedFault[];
  readonly diedAlone: readonly string[];
  readonly requests: number;
  /** When each accepted order was first answered, in ascending order. */
  readonly acceptedAt: readonly number[];
  /** When the stock's answers came, in ascending order. */
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

/** Hits everything in turn for so many minutes, or each victim alone, while buyers buy; then says what is left of the promises. */
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
      // About half of what is asked for.
      stock: Math.ceil(30 * Math.max(1, minutes)),
    })) as ChaosReport;
    if (report.problems.length > 0 || report.diedAlone.length > 0) process.exitCode = 1;
    sections.push(`## ${victims}`, "", describe(report), "");
  }
  return [
    "The split shop, two replicas of orders and inventory, on three mongod, three NATS servers and Redis. Buyers place orders of",
    "several lines for less stock than they want, retry, send twice, reuse keys and cancel, a clerk ships and corrects the stock,",
    "and the bus doubles, delays and swaps events, while a schedule that follows from the seed kills (SIGKILL) and pauses (SIGSTOP)",
    "one process after the other and slows, resets and cuts links. Then a checker that shares no code with the product compares",
    "what clients were told with the public API and the ledger.",
    "",
    ...sections,
    "By victim, in seconds (median, p99): from the hit to the next accepted order; from the restart, SIGCONT or mended link to the",
    "next accepted order, and to the next answer of the stock; from the restart of a service until it says that it is ready.",
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
        ["orders asked for", String(report.requests)],
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
        ["other broken promises", String(others)],
        ["processes that died without being killed", report.diedAlone.join(", ") || "none"],
        ["**from the last hit until all was right, seconds**", `**${seconds(report.convergedMs)}**`],
        ["from a restart or mending to the next accepted order, median, p99, seconds", healed],
        [
          "from placing to the stock's answer, p50, p99, slowest, seconds",
          [0.5, 0.99, 1].map((share) => seconds(percentile(decisionMs, share))).join(", "),
        ],
      ],
    ),
    "",
    ...table(["victim", "faults", "hit to order", "healed to order", "healed to decision", "healed to ready"], rows),
    ...problems.slice(0, 50).map(({ kind, about, what }) => `\n${kind}: ${about} ${what}`),
  ].join("\n");
}

/** A stranded primary falls with its two secondaries. */
function killsOf(faults: readonly InjectedFault[]): number {
  return faults.reduce((sum, { action }) => sum + (action === "kill" ? 1 : action === "strand" ? 3 : 0), 0);
}

function faultsOf(faults: readonly InjectedFault[]): string {
  return Object.entries(Object.groupBy(faults, ({ action }) => action))
    .map(([action, some]) => `${action} ${some!.length}`)
    .toSorted()
    .join(", ");
}

/** How long after `at` the first of `times` is; undefined when there is none. */
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
