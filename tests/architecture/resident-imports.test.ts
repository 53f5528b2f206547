import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { parse } from "./source-files.ts";

/** The packages that are loaded with a module of ours: all of its imports except dynamic ones and those of types. */
function packagesLoadedWith(entry: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith("node:")) continue;
      if (/^(\.|@shop\/)/.test(specifier)) visit(createRequire(file).resolve(specifier));
      else packages.add(specifier);
    }
  };
  visit(join(repositoryRoot, entry));
  return packages;
}

function importsOf(file: string): string[] {
  return parse(file, readFileSync(file, "utf8")).statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const clause = ts.isImportDeclaration(statement) ? statement.importClause : statement;
    const { moduleSpecifier } = statement;
    return moduleSpecifier === undefined || clause?.isTypeOnly === true
      ? []
      : [(moduleSpecifier as ts.StringLiteral).text];
  });
}

test("npm start keeps no package in memory: what needs one runs in a process of its own, or is imported when needed", () => {
  expect([...packagesLoadedWith("tools/src/called-apart.ts")]).toEqual([]);
  expect([...packagesLoadedWith("tools/src/start-shop.ts")]).toEqual([]);
  expect([...packagesLoadedWith("tools/src/settings.ts")]).toContain("zod");
});

test("the gateway loads no driver of a server, and undici only with the first call that needs it", () => {
  const packages = [...packagesLoadedWith("gateway/src/main.ts")];
  expect(packages).toContain("fastify");
  expect(packages.filter((name) => /mongodb|redis|nats|rate-limiter|undici/.test(name))).toEqual([]);
  expect([...packagesLoadedWith("platform/runtime/src/stateful-modules.ts")]).toContain("mongodb");
});
