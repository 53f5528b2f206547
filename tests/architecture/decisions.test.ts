import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const folder = join(repositoryRoot, "docs/decisions");
const files = readdirSync(folder);
const sections = ["Context", "Alternatives", "Decision", "Consequences"];

/** Deviations of a decision record from the common form. */
function mistakesIn(file: string, text: string): string[] {
  const [title = "", ...parts] = text.split(/^## /m);
  const [, heading, lines] = /^# (\d{4}) \S.*\n\n((?:(?:- | {2}).+\n)+)\n$/.exec(title) ?? [];
  const bodies = new Map(parts.map((part) => [part.split("\n", 1)[0]!, part.slice(part.indexOf("\n")).trim()]));
  return [
    ...(/^\d{4}(-[a-z0-9]+)+\.md$/.test(file) ? [] : ["its name is not 0000-kebab-case.md"]),
    ...(heading !== undefined && file.startsWith(`${heading}-`)
      ? []
      : ["its first line is not `# <its number> <title>`"]),
    ...(/^- Status: (accepted|superseded)/.test(lines ?? "") ? [] : ["no `- Status: accepted` or `superseded`"]),
    ...(/^- Date: 20\d\d-[01]\d-[0-3]\d$/m.test(lines ?? "") ? [] : ["no `- Date: <day>`"]),
    ...([...bodies.keys()].join() === sections.join() ? [] : [`its sections are not ${sections.join(", ")}`]),
    ...[...bodies].filter(([, body]) => body === "").map(([name]) => `${name} is empty`),
  ];
}

test.each(files)("%s has status, date, context, alternatives, decision and consequences", (file) => {
  expect(mistakesIn(file, readFileSync(join(folder, file), "utf8"))).toEqual([]);
});

test("decision records are numbered from 0001 without gap or repetition", () => {
  expect(files.toSorted().map((file) => Number(file.slice(0, 4)))).toEqual(files.map((_, index) => index + 1));
});

test("a record without one of the parts is found", () => {
  const whole =
    "# 0001 A title\n\n- Status: accepted\n- Date: 2026-11-30\n\n## Context\na\n\n## Alternatives\nb\n\n## Decision\nc\n\n## Consequences\nd\n";
  expect(mistakesIn("0001-a-title.md", whole)).toEqual([]);
  expect(mistakesIn("0001-a-title.md", whole.replace("- Status: accepted\n", ""))).toHaveLength(1);
  expect(mistakesIn("0001-a-title.md", whole.replace("- Date: 2026-11-30\n", ""))).toHaveLength(1);
  expect(mistakesIn("0001-a-title.md", whole.replace("## Alternatives\nb\n\n", ""))).toHaveLength(1);
  expect(mistakesIn("0001-a-title.md", whole.replace("\nb\n", "\n"))).toEqual(["Alternatives is empty"]);
  expect(mistakesIn("0002-a-title.md", whole)).toHaveLength(1);
});
