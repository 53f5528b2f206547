import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { archiveCommit, contractBaseline } from "./check-contract-baseline.ts";
import { type CheckResult, checkCommand, runChecks } from "./check-run.ts";
import { lintOpenApi } from "./lint-openapi.ts";
import { generateOpenApi, openApiFile } from "./openapi.ts";
import { repositoryRoot } from "./repository-root.ts";

/** Our module of buf.yaml. The other is vendored: neither formatted nor checked for breaking changes. */
const ourModule = "proto";
/** The files that buf needs to compile our module. */
const contractPaths = ["buf.yaml", ourModule, "vendor/proto"];

const scratch = mkdtempSync(join(tmpdir(), "shop-contracts-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));

await runChecks([
  { name: "buf lint", run: () => checkCommand("buf", "lint") },
  { name: "buf format", run: () => checkCommand("buf", "format", ourModule, "--diff", "--exit-code") },
  { name: "buf breaking", run: checkBreaking },
  { name: "generated code", run: () => checkGenerated("buf.gen.yaml", "gen/src") },
  {
    name: "generated code of the conformance suite",
    run: () => checkGenerated("tests/conformance/buf.gen.yaml", "tests/conformance/gen"),
  },
  { name: "openapi", run: checkOpenApi },
  { name: "openapi lint", run: () => lintOpenApi(readFileSync(join(repositoryRoot, openApiFile), "utf8")) },
]);

async function checkBreaking(): Promise<CheckResult> {
  const { commit, what } = await contractBaseline(repositoryRoot, contractPaths);
  if (commit === undefined) return { ok: true, output: "", note: what };
  const before = join(scratch, "before.tar");
  if (!(await archiveCommit(repositoryRoot, commit, contractPaths, before))) {
    return { ok: true, output: "", note: `nothing to compare with: no contracts there (${what})` };
  }
  const against = `${before}#format=tar,subdir=${ourModule}`;
  const result = await checkCommand("buf", "breaking", ourModule, "--exclude-imports", "--against", against);
  return { ...result, note: what };
}

/** Generates into another folder and compares, without overwriting files or calling git. */
async function checkGenerated(template: string, folder: string): Promise<CheckResult> {
  const generated = await checkCommand("buf", "generate", "--template", template, "--output", scratch);
  if (!generated.ok) return generated;
  const expected = filesIn(join(scratch, folder));
  const actual = filesIn(join(repositoryRoot, folder));
  const differences = [
    ...[...expected].flatMap(([file, text]) =>
      !actual.has(file) ? `missing: ${folder}/${file}` : actual.get(file) === text ? [] : `outdated: ${folder}/${file}`,
    ),
    ...[...actual.keys()].filter((file) => !expected.has(file)).map((file) => `left over: ${folder}/${file}`),
  ];
  if (expected.size === 0) differences.push("nothing was generated");
  const ok = differences.length === 0;
  return {
    ok,
    output: `${differences.join("\n")}\nnpm run generate updates it`,
    note: `${actual.size} files`,
  };
}

async function checkOpenApi(): Promise<CheckResult> {
  const isUpToDate = (await generateOpenApi(scratch)) === readFileSync(join(repositoryRoot, openApiFile), "utf8");
  return { ok: isUpToDate, output: `outdated: ${openApiFile}\nnpm run generate updates it` };
}

/** The text of every file below a folder, by relative path. */
function filesIn(folder: string): Map<string, string> {
  return new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((file) => statSync(file).isFile())
      .map((file) => [relative(folder, file), readFileSync(file, "utf8")]),
  );
}
