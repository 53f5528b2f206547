import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { plotFiles } from "../../bench/src/plots.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const bench = join(repositoryRoot, "bench");
const drawn = plotFiles();

test.each([...drawn])("the plot %s is drawn from all recorded results, and shown in bench/README.md", (file, svg) => {
  expect(readFileSync(join(bench, "plots", file), "utf8"), "run `npm run bench -- plots`").toBe(svg);
  expect(readFileSync(join(bench, "README.md"), "utf8")).toContain(`](plots/${file})`);
});

test("no plot is left of a bench without results", () => {
  expect(readdirSync(join(bench, "plots")).toSorted()).toEqual([...drawn.keys()].toSorted());
});

test("a plot has a point and a value for each figure of each result, and labels its axes and its reference", () => {
  const orders = drawn.get("orders.svg")!;
  const results = readdirSync(join(bench, "results")).filter((file) => file.endsWith("-orders.md"));
  expect([...orders.matchAll(/<circle .*r="4"/g)]).toHaveLength(2 * results.length + 2);
  // As bench/results/2026-11-29-orders.md says.
  for (const text of [">1.02<", ">1.17<", ">date (UTC)<", ">ratio to the floor<", ">the floor<", ">2026-11-29<"])
    expect(orders).toContain(text);
});
