import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type SchemaObject } from "ajv";
import { createGenerator } from "ts-json-schema-generator";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import type { TimeSeriesDashboard } from "./dashboard-type.ts";

const text = readFileSync(join(repositoryRoot, "deploy/grafana/shop.json"), "utf8");
const type = "TimeSeriesDashboard";
const schema = createGenerator({
  path: join(import.meta.dirname, "dashboard-type.ts"),
  tsconfig: join(repositoryRoot, "tsconfig.json"),
  type,
  skipTypeCheck: true,
  additionalProperties: false,
  // Types of two packages have the same name.
  expose: "none",
}).createSchema(type);
const isValid = new Ajv({ allErrors: true, strict: false }).compile<TimeSeriesDashboard>(schema as SchemaObject);

/** The dashboard as parsed, and the schema's complaints about it after a change. */
function mistakesAfter(change: (dashboard: ReturnType<typeof JSON.parse>) => void): readonly string[] {
  const dashboard = JSON.parse(text);
  change(dashboard);
  return isValid(dashboard)
    ? []
    : (isValid.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

test("the dashboard agrees with the schema that Grafana's types are generated from", () => {
  expect(mistakesAfter(() => {})).toEqual([]);
});

test.each<[string, Parameters<typeof mistakesAfter>[0]]>([
  ["a field of the dashboard that Grafana does not have", (dashboard) => (dashboard.owner = "ops")],
  ["a panel of another kind", (dashboard) => (dashboard.panels[1].type = "timeserie")],
  ["a panel without a place of the right kind", (dashboard) => (dashboard.panels[1].gridPos.w = "8")],
  ["a misspelt option of a graph", (dashboard) => (dashboard.panels[1].fieldConfig.defaults.custom.fillOpacty = 1)],
  ["a misspelt field of a query", (dashboard) => (dashboard.panels[1].targets[0].expression = "up")],
])("the schema refuses %s", (_, change) => {
  expect(mistakesAfter(change)).not.toEqual([]);
});

test("panels have titles, descriptions and queries, and do not overlap", () => {
  const { panels } = JSON.parse(text) as TimeSeriesDashboard;
  const cells = new Set<string>();
  for (const panel of panels) {
    const { x, y, w, h } = panel.gridPos!;
    for (let column = x; column < x + w; column++)
      for (let row = y; row < y + h; row++) {
        expect(cells, `${panel.title} at ${column}, ${row}`).not.toContain(`${column} ${row}`);
        cells.add(`${column} ${row}`);
      }
    expect(panel.title).toBeTruthy();
    if (panel.type !== "timeseries") continue;
    expect(panel.description, panel.title).toMatch(/\.$/);
    expect(panel.targets.map(({ expr }) => expr)).not.toEqual([]);
  }
});
