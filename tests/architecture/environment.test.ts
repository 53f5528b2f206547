import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { nodesOf, parse, placeOf, sourceFiles } from "./source-files.ts";

/** Reads of the environment in a file, `process.env` in any spelling, as `path:line`. */
function environmentReads(file: ts.SourceFile): string[] {
  const isProcess = (node: ts.Node | undefined) => /^(globalThis\.)?process$/.test(node?.getText() ?? "");
  return nodesOf(file)
    .filter(
      (node) =>
        (ts.isPropertyAccessExpression(node) && isProcess(node.expression) && node.name.text === "env") ||
        (ts.isElementAccessExpression(node) && isProcess(node.expression)) ||
        (ts.isVariableDeclaration(node) && isProcess(node.initializer)) ||
        (ts.isImportDeclaration(node) && /^["'](node:)?process["']$/.test(node.moduleSpecifier.getText())),
    )
    .map(placeOf);
}

describe("only run() reads the environment", () => {
  test("no other code of platform, services and gateway reads process.env", () => {
    const reads = sourceFiles(["{platform/*,services/*,gateway}/src/**/*.ts"]).flatMap(environmentReads);
    expect(reads.filter((place) => !place.startsWith("platform/runtime/src/run.ts:"))).toEqual([]);
    expect(reads).toHaveLength(1);
  });

  test.each([
    "run(process.env);",
    "process.env.PORT;",
    'process["env"];',
    "const { env } = process;",
    "globalThis.process.env;",
    'import { env } from "node:process";',
    'import process from "process";',
  ])("%s is detected", (text) => expect(environmentReads(parse("a.ts", text))).toEqual(["a.ts:1"]));

  test("process.pid is not a read of the environment", () =>
    expect(environmentReads(parse("a.ts", "process.pid;"))).toEqual([]));
});

interface Variable {
  readonly name: string;
  /** As text; empty when there is none. */
  readonly defaultValue: string;
  readonly description: string;
  readonly meaning: string;
}

interface ConfigSchema {
  toJSONSchema(options: { io: "input" }): {
    properties: Record<string, { default?: unknown; description?: string; meaning?: string }>;
  };
}

/** The variables of every configuration schema of the platform, the services and the gateway. */
async function configVariables(): Promise<Variable[]> {
  const files = globSync(
    ["platform/runtime/src/platform-config.ts", "services/*/src/config.ts", "gateway/src/config.ts"],
    {
      cwd: repositoryRoot,
    },
  );
  const modules = await Promise.all(
    files.map((file) => import(pathToFileURL(join(repositoryRoot, file)).href) as Promise<Record<string, unknown>>),
  );
  return modules
    .flatMap((module) => Object.values(module))
    .filter(
      (value): value is ConfigSchema =>
        typeof (value as Partial<ConfigSchema> | undefined)?.toJSONSchema === "function",
    )
    .flatMap((schema) => Object.entries(schema.toJSONSchema({ io: "input" }).properties))
    .map(([name, { default: value, description = "", meaning = "" }]) => ({
      name,
      defaultValue: value === undefined ? "" : String(value),
      description,
      meaning,
    }));
}

/** Set by the machine and by npm. */
const externalVariables: ReadonlySet<string> = new Set(["PATH", "INIT_CWD", "npm_config_dry_run"]);

/** The variables that the starter and the other tools read by name. */
function starterVariables(): string[] {
  const names = sourceFiles(["tools/src/**/*.ts"])
    .flatMap(nodesOf)
    .filter(ts.isPropertyAccessExpression)
    .filter(({ expression }) => /(^|\.)env$/.test(expression.getText()))
    .map(({ name }) => name.text);
  return [...new Set(names).difference(externalVariables)];
}

/** The entries of .env.example: `# NAME=default`, below a comment. */
function exampleVariables(): Omit<Variable, "meaning">[] {
  const blocks = readFileSync(join(repositoryRoot, ".env.example"), "utf8").split("\n\n");
  return blocks.flatMap((block) => {
    const lines = block.trim().split("\n");
    const [, name, defaultValue] = /^# ([A-Z][A-Z0-9_]*)=(.*)$/.exec(lines.at(-1) ?? "") ?? [];
    const description = lines
      .slice(0, -1)
      .map((line) => line.replace(/^# ?/, ""))
      .join(" ");
    return name === undefined || defaultValue === undefined ? [] : [{ name, defaultValue, description }];
  });
}

const known = await configVariables();
const listed = exampleVariables();

describe(".env.example", () => {
  test("lists every variable of the configuration schemas and of the starter once, and no others", () => {
    expect(known.length).toBeGreaterThan(10);
    const names = new Set([...known.map(({ name }) => name), ...starterVariables()]);
    expect(listed.map(({ name }) => name).toSorted()).toEqual([...names].toSorted());
  });

  test.each(known)("gives $name's default and unit", ({ name, defaultValue, description }) => {
    const example = listed.find((variable) => variable.name === name);
    expect(example?.defaultValue).toBe(defaultValue);
    expect(description, "its schema has no unit: .describe()").not.toBe("");
    expect(example?.description).toContain(description);
  });
});

describe("docs/configuration.md", () => {
  const rows = readFileSync(join(repositoryRoot, "docs/configuration.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"));

  test("lists the variables of every schema and of the starter, and no others", () => {
    const names = [...known.map(({ name }) => name), ...starterVariables()];
    expect(new Set(rows.map((row) => /^\| `(\w+)`/.exec(row)?.[1]))).toEqual(new Set(names));
  });

  test.each(known)("gives $name's unit, default and meaning", ({ name, defaultValue, description, meaning }) => {
    expect(meaning, "its schema has no meaning: .meta()").toMatch(/^[A-Z].*\.$/);
    const row = rows.find((line) => line.startsWith(`| \`${name}\` | ${description}`));
    expect(row).toContain(` | ${defaultValue === "" ? "none" : `\`${defaultValue}\``} | ${meaning} |`);
  });
});
