import { delimiter, join } from "node:path";
import { runCommand } from "./infra/run-command.ts";
import { repositoryRoot } from "./repository-root.ts";

/** The result of a check. `output` is printed when it failed, `note` always. */
export interface CheckResult {
  readonly ok: boolean;
  readonly output: string;
  readonly note?: string;
}

/** A condition that must hold before a change is committed. */
export interface Check {
  readonly name: string;
  readonly run: () => Promise<CheckResult>;
}

/** More than twice as long as any check takes. */
const timeoutMs = 300_000;

/** Runs a command, of the repository's packages or of PATH, in the current folder, without colours. */
export function checkCommand(command: string, ...args: readonly string[]): Promise<CheckResult> {
  const path = [join(repositoryRoot, "node_modules/.bin"), process.env.PATH].join(delimiter);
  return runCommand(command, args, { timeoutMs, env: { ...process.env, PATH: path, FORCE_COLOR: "0", NO_COLOR: "1" } });
}

/** The output of such a command. @throws Error with it when the command fails */
export async function outputOf(command: string, ...args: readonly string[]): Promise<string> {
  const { ok, output } = await checkCommand(command, ...args);
  if (!ok) throw new Error(`${[command, ...args].join(" ")} failed:\n${output}`);
  return output;
}

/**
 * Runs the checks side by side, in the root of the repository. Prints a line for each as it ends, then everything the
 * output of the failed ones; the process exits 1 if any failed.
 */
export async function runChecks(checks: readonly Check[]): Promise<void> {
  process.chdir(repositoryRoot);
  const failed: string[] = [];
  await Promise.all(
    checks.map(async ({ name, run }) => {
      const startedAt = performance.now();
      const { ok, output, note } = await run().catch((error: unknown) => ({
        ok: false,
        output: error instanceof Error ? (error.stack ?? error.message) : String(error),
        note: undefined,
      }));
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${ok ? "ok    " : "FAILED"} ${name.padEnd(20)} ${seconds.padStart(5)} s${note ? `  ${note}` : ""}`);
      if (!ok) failed.push(`\n${name}:\n${output}`);
    }),
  );
  for (const text of failed) console.log(text);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
