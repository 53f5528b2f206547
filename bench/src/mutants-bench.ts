import { runChaosOnce } from "./resilience.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";

interface Report {
  readonly injected: readonly { readonly action: string }[];
  readonly acceptedAt: readonly number[];
  readonly problems: readonly { readonly kind: string }[];
}

/** A run of the list of tests/resilience/chaos.ts: without a mutant it is the unmodified product. */
interface Planned {
  readonly under: string;
  readonly mutant?: string;
}

/**
 * Runs the unmodified product under each of the conditions, which must find no problem, and every mutant, which must be
 * found.
 */
export async function benchMutants({ seed }: BenchSettings): Promise<string> {
  const planned = (await runChaosOnce({ list: true })) as readonly Planned[];
  const rows: string[][] = [];
  for (const { under, mutant } of planned) {
    const report = (await runChaosOnce({ seed, ...(mutant === undefined ? { under } : { mutant }) })) as Report;
    const found = Object.entries(Object.groupBy(report.problems, ({ kind }) => kind));
    const isRight = found.length > 0 === (mutant !== undefined);
    if (!isRight) process.exitCode = 1;
    rows.push([
      mutant ?? "none",
      under,
      String(report.injected.length),
      String(report.acceptedAt.length),
      found.map(([kind, problems]) => `${kind} ${problems!.length}`).join(", ") || "nothing",
      isRight ? "yes" : "**no**",
    ]);
  }
  return [
    `Every bug was planted alone into a copy of the product, which ran under conditions that expose it, with seed ${seed}. The`,
    "unmodified product ran under the same conditions.",
    "",
    ...table(["mistake", "conditions", "faults", "orders accepted", "findings of the checker", "as expected"], rows),
  ].join("\n");
}
