import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { cruise, type ICruiseResult, type IFlattenedRuleSet } from "dependency-cruiser";
import { repositoryRoot } from "./repository-root.ts";

/** An import that a rule forbids; paths are relative to the root. */
export interface ForbiddenImport {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

export interface ImportReport {
  /** Our own modules. If empty, nothing was checked, even though `forbidden` is empty. */
  readonly modules: readonly string[];
  readonly forbidden: readonly ForbiddenImport[];
}

/** The rules of .dependency-cruiser.mjs. */
export async function importRules(): Promise<{
  forbidden: NonNullable<IFlattenedRuleSet["forbidden"]>;
  options: object;
}> {
  return (await import(pathToFileURL(join(repositoryRoot, ".dependency-cruiser.mjs")).href)).default;
}

/** Applies the repository's rules to every workspace of the repository at `root`: this one, or a planted one. */
export async function checkImports(root: string): Promise<ImportReport> {
  const { forbidden, options } = await importRules();
  const { workspaces } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { workspaces: string[] };
  const folders = workspaces
    .map((workspace) => workspace.replace(/\/\*$/, ""))
    .filter((folder) => existsSync(join(root, folder)));
  const { output } = await cruise(folders, { ...options, baseDir: root, validate: true, ruleSet: { forbidden } });
  const { modules, summary } = output as ICruiseResult;
  return {
    modules: modules
      .map((module) => module.source)
      .filter((source) => folders.some((folder) => source.startsWith(`${folder}/`))),
    forbidden: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  };
}
