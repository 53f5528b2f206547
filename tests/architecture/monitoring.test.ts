import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { anchorsOf } from "./anchors.ts";

const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");

interface Rule {
  readonly alert?: string;
  readonly annotations?: { readonly runbook_url?: string };
}

const { groups } = parse(read("deploy/prometheus/rules.yaml")) as {
  groups: readonly { readonly rules: readonly Rule[] }[];
};
const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);

test.each(alerts)("the alert $alert links to a heading of the runbook", ({ annotations }) => {
  const [file = "", anchor = ""] = annotations?.runbook_url?.split("#") ?? [];
  expect(file).toBe("docs/runbook.md");
  expect(anchorsOf(read(file))).toContain(anchor);
});

test("the runbook has no entry for an alert that does not exist", () => {
  const [, section = ""] = read("docs/runbook.md").split("\n## Monitoring\n");
  const entries = [...section.split("\n## ", 1)[0]!.matchAll(/^### (\w+)$/gm)].map(([, name]) => name!);
  expect(entries.toSorted()).toEqual([...new Set(alerts.map(({ alert }) => alert!))].toSorted());
});
