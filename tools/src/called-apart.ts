// The process that callApart starts: calls the function of its arguments once.
import type { Outcome } from "./call-apart.ts";
import { StartError } from "./start-error.ts";

const [file, name] = process.argv.slice(2) as [string, string];
process.once("disconnect", () => process.exit());
process.once("message", async (args) => {
  process.send!(await outcome(args as readonly unknown[]), () => process.exit());
});

async function outcome(args: readonly unknown[]): Promise<Outcome> {
  try {
    const module = (await import(`./${file}`)) as Record<string, (...args: readonly unknown[]) => unknown>;
    return { result: await module[name]!(...args) };
  } catch (error) {
    return { error: error as Error, isStartError: error instanceof StartError };
  }
}
