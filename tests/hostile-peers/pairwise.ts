import type { Random } from "../resilience/random.ts";

type Dimensions = Readonly<Record<string, readonly string[]>>;
export type Choice<Of extends Dimensions> = { readonly [Name in keyof Of]: Of[Name][number] };

/** The number of random candidates for each row. */
const candidates = 20;

/**
 * Rows that contain every pair of values of different dimensions at least once. The same seed gives the same
 * rows. Greedy: each row is built around a missing pair, and is the random candidate that covers the most other missing pairs.
 */
export function pairwise<Of extends Dimensions>(dimensions: Of, random: Random): Choice<Of>[] {
  const names = Object.keys(dimensions);
  const missing = new Map<string, Record<string, string>>();
  for (const [index, a] of names.entries()) {
    for (const b of names.slice(index + 1)) {
      for (const x of dimensions[a]!) for (const y of dimensions[b]!) missing.set(key(a, x, b, y), { [a]: x, [b]: y });
    }
  }
  const pairsOf = (row: Record<string, string>) =>
    names.flatMap((a, index) => names.slice(index + 1).map((b) => key(a, row[a]!, b, row[b]!)));
  const rows: Record<string, string>[] = [];
  while (missing.size > 0) {
    const [wanted] = missing.values();
    let best: { readonly row: Record<string, string>; readonly covers: number } | undefined;
    for (let n = 0; n < candidates; n++) {
      const row = { ...Object.fromEntries(names.map((name) => [name, random.pick(dimensions[name]!)])), ...wanted };
      const covers = pairsOf(row).filter((pair) => missing.has(pair)).length;
      if (best === undefined || covers > best.covers) best = { row, covers };
    }
    for (const pair of pairsOf(best!.row)) missing.delete(pair);
    rows.push(best!.row);
  }
  return rows as Choice<Of>[];
}

function key(...parts: readonly string[]): string {
  return parts.join("\0");
}
