import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const rulesFile = join(import.meta.dirname, "../../deploy/prometheus/rules.yaml");

/** Runs promtool, of Debian's package `prometheus`. Returns its complaint; undefined if it has none. */
export function promtool(...args: readonly string[]): string | undefined {
  try {
    execFileSync("promtool", args, { stdio: "pipe" });
    return undefined;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: Buffer; stderr?: Buffer };
    return `${message}\n${stdout}${stderr}`;
  }
}

/** Values of series, one a minute, in promtool's notation. */
export type SeriesValues = Readonly<Record<string, string>>;

/** Labels of an alert that fires. */
export interface Firing {
  readonly alertname: string;
  readonly severity: string;
  readonly window?: string;
}

/**
 * Evaluates the rules while these series are scraped, and compares the alerts that fire in a given minute with the expected
 * ones: all of them, in any order. Returns promtool's complaint; undefined if they are the same.
 *
 * https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
 *
 * @param evaluationInterval promtool ignores that of a group; with another than `15s` numbers of bad events are wrong
 */
export function unexpectedlyFiring(
  series: SeriesValues,
  minute: number,
  expected: readonly Firing[],
  evaluationInterval = "1m",
): string | undefined {
  const labelsOf = (alert: Firing) =>
    `{${Object.entries(alert)
      .map(([name, value]) => `${name}="${value}"`)
      .join(", ")}}`;
  const folder = mkdtempSync(join(tmpdir(), "shop-promtool-"));
  try {
    const file = join(folder, "tests.json");
    const test = {
      interval: "1m",
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        {
          expr: 'count by (alertname, severity, window) (ALERTS{alertstate="firing"})',
          eval_time: `${minute}m`,
          exp_samples: expected.map((alert) => ({ labels: labelsOf(alert), value: 1 })),
        },
      ],
    };
    writeFileSync(
      file,
      JSON.stringify({ rule_files: [rulesFile], evaluation_interval: evaluationInterval, tests: [test] }),
    );
    return promtool("test", "rules", file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
