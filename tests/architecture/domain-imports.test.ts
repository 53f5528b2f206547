import ts from "typescript";
import { expect, test } from "vitest";
import { parse, placeOf, sourceFiles } from "./source-files.ts";

/** What rules may use of the platform. */
const pureModules = ["./errors.ts", "./ids.ts", "./money.ts"];

/** The names that the platform's door takes from those modules. */
function pureNames(door: ts.SourceFile): ReadonlySet<string> {
  return new Set(
    door.statements
      .filter(ts.isExportDeclaration)
      .filter(({ moduleSpecifier }) => pureModules.includes(textOf(moduleSpecifier)))
      .flatMap(({ exportClause }) =>
        exportClause !== undefined && ts.isNamedExports(exportClause)
          ? exportClause.elements.map(({ name }) => name.text)
          : [],
      ),
  );
}

/** Imports and re-exports of `@shop/platform` other than of those names, as `path:line name`. */
function impureImports(file: ts.SourceFile, pure: ReadonlySet<string>): string[] {
  return file.statements
    .filter((statement) => ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement))
    .filter(({ moduleSpecifier }) => textOf(moduleSpecifier).startsWith("@shop/platform"))
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

const [door] = sourceFiles(["platform/src/index.ts"]);
const pure = pureNames(door!);

test("rules use nothing of the platform but errors, money and ids", () => {
  expect([...pure]).toEqual(expect.arrayContaining(["DomainError", "Money", "newId"]));
  const rules = sourceFiles(["services/*/src/domain/**/*.ts"]);
  expect(rules.length).toBeGreaterThan(3);
  expect(rules.flatMap((file) => impureImports(file, pure))).toEqual([]);
});

test.each([
  ['import { DomainError, type Money } from "@shop/platform";', []],
  ['import { newId, run } from "@shop/platform";', ["a.ts:1 run"]],
  ['import { run as newId } from "@shop/platform";', ["a.ts:1 run"]],
  ['import type { Outbox } from "@shop/platform";', ["a.ts:1 Outbox"]],
  ['import * as platform from "@shop/platform";', ["a.ts:1 everything"]],
  ['export * from "@shop/platform";', ["a.ts:1 everything"]],
  ['import { silentLog } from "@shop/platform/testing";', ["a.ts:1 silentLog"]],
])("%s is judged by its names", (text, found) => {
  expect(impureImports(parse("a.ts", text), pure)).toEqual(found);
});
