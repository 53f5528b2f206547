import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { conditions, mutants, plant } from "./mutants.ts";
import { describeRun, runChaos } from "./run.ts";

// Takes over a minute: its own cluster and split shop, 15 s of faults, and until every request has a certain answer. So one mutant stands
// for all here; `npm run bench -- mutants` runs the others, and the unmodified product under the same conditions.
const chosen = "no unique request";

test.each(mutants.filter(({ name }) => name === chosen))(
  "a fault run finds the planted bug: $name",
  async (mutant) => {
    const root = plant(mutant, resolve(import.meta.dirname, "../.."));
    const dataDir = await mkdtemp(join(tmpdir(), "shop-chaos-"));
    onTestFinished(async () => {
      await rm(root, { recursive: true, force: true });
      await rm(dataDir, { recursive: true, force: true });
    });
    const run = await runChaos({
      ...conditions[mutant.under],
      seed: 1,
      buyers: 24,
      products: 40,
      dataDir,
      root,
      log: (line) => console.log(line),
    });
    console.log(describeRun(run));
    const kinds = new Set(run.problems.map(({ kind }) => kind));
    expect(mutant.breaks.filter((kind) => kinds.has(kind))).not.toEqual([]);
  },
  300_000,
);
