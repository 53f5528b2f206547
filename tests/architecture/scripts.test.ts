import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const names = [
  ...["start", "dev", "generate", "check", "lint", "fix", "typecheck", "test", "test:unit", "test:e2e", "bench"],
  ...[
    "seed",
    "import",
    "admin",
    "service-keys",
    "new-method",
    "new-service",
    "test:packages",
    "test:stubs",
    "test:containers",
    "test:new-service",
    "pack",
    "set-version",
  ],
];

function scriptsOf(manifest: string): string[] {
  const { scripts = {} } = JSON.parse(readFileSync(join(repositoryRoot, manifest), "utf8")) as {
    scripts?: Record<string, string>;
  };
  return Object.keys(scripts);
}

test("the repository has these npm scripts and no others", () => {
  expect(scriptsOf("package.json").toSorted()).toEqual(names.toSorted());
});

test("a package's npm scripts carry the same names", () => {
  const manifests = globSync(["*/package.json", "{services,platform}/*/package.json"], { cwd: repositoryRoot });
  expect(manifests.length).toBeGreaterThan(6);
  for (const manifest of manifests) expect(names, manifest).toEqual(expect.arrayContaining(scriptsOf(manifest)));
});

test("CONTRIBUTING.md describes each npm script", () => {
  const contributing = readFileSync(join(repositoryRoot, "CONTRIBUTING.md"), "utf8");
  const described = [...contributing.matchAll(/^\| `npm (?:run )?([\w:-]+)/gm)].map(([, name]) => name);
  expect(described.toSorted()).toEqual(names.toSorted());
});
