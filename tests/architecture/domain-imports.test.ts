import ts from "typescript";
import { expect, test } from "vitest";
import { parse, placeOf, sourceFiles } from "./source-files.ts";

/** The modules of the platform that domain code may import. */
const pureModules = ["./errors.ts", "./ids.ts", "./money.ts", "./currencies.ts"];

/** The names that package entries export from those modules. */
function pureNames(entries: readonly ts.SourceFile[]): ReadonlySet<string> {
  return new Set(
    entries
      .flatMap(({ statements }) => [...statements])
      .filter(ts.isExportDeclaration)
      .filter(({ moduleSpecifier }) => pureModules.includes(textOf(moduleSpecifier)))
      .flatMap(({ exportClause }) =>
        exportClause !== undefined && ts.isNamedExports(exportClause)
          ? exportClause.elements.map(({ name }) => name.text)
          : [],
      ),
  );
}

/** Imports and re-exports of other names of platform packages, as `path:line name`. */
function impureImports(file: ts.SourceFile, pure: ReadonlySet<string>): string[] {
  return file.statements
    .filter((statement) => ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement))
    .filter(({ moduleSpecifier }) => textOf(moduleSpecifier).startsWith("@shop/"))
    .flatMap((statement) => {
      const named = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : statement.exportClause;
      const names =
        named !== undefined && (ts.isNamedImports(named) || ts.isNamedExports(named))
          ? named.elements.map(({ name, propertyName }) => (propertyName ?? name).text)
          : ["everything"];
      return names.filter((name) => !pure.has(name)).map((name) => `${placeOf(statement)} ${name}`);
    });
}

const textOf = (specifier: ts.Expression | undefined) =>
  specifier !== undefined && ts.isStringLiteral(specifier) ? specifier.text : "";

const pure = pureNames(sourceFiles(["platform/{core,money}/src/index.ts"]));

test("domain code imports only errors, money and ids of the platform", () => {
  expect([...pure]).toEqual(expect.arrayContaining(["DomainError", "Money", "newId"]));
  const rules = sourceFiles(["services/*/src/domain/**/*.ts"]);
  expect(rules.length).toBeGreaterThan(3);
  expect(rules.flatMap((file) => impureImports(file, pure))).toEqual([]);
});

test.each([
  ['import { DomainError } from "@shop/core"; import type { Money } from "@shop/money";', []],
  ['import { newId, run } from "@shop/core";', ["a.ts:1 run"]],
  ['import { run as newId } from "@shop/runtime";', ["a.ts:1 run"]],
  ['import type { Outbox } from "@shop/messaging";', ["a.ts:1 Outbox"]],
  ['import * as core from "@shop/core";', ["a.ts:1 everything"]],
  ['export * from "@shop/core";', ["a.ts:1 everything"]],
  ['import { silentLog } from "@shop/runtime/testing";', ["a.ts:1 silentLog"]],
])("%s: each imported name is checked", (text, found) => {
  expect(impureImports(parse("a.ts", text), pure)).toEqual(found);
});
