import { runChaosOnce } from "./resilience.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";

interface Report {
  readonly injected: readonly { readonly action: string }[];
  readonly acceptedAt: readonly number[];
  readonly problems: readonly { readonly kind: string }[];
}

/** A run as tests/resilience/chaos.ts lists it: without a mutant it is the product as it is. */
interface Planned {
  readonly under: string;
  readonly mutant?: string;
}

/** Runs the product as it is under each of the circumstances, which must find nothing, and every mutant, which must be found. */
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
    `Every mistake was planted into a copy of the product, alone, and met a fault run with seed ${seed} that brings it out. The`,
    "product without a mistake met the same.",
    "",
    ...table(
      ["mistake", "circumstances", "faults", "orders accepted", "what the checker found", "as it should be"],
      rows,
    ),
  ].join("\n");
}
