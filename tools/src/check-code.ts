import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkMethods } from "./check-methods.ts";
import { type CheckResult, checkCommand, runChecks } from "./check-run.ts";
import { generateDocuments } from "./generated-documents.ts";
import { repositoryRoot } from "./repository-root.ts";

await runChecks([
  { name: "biome", run: () => checkCommand("biome", "ci", "--colors=off", "--max-diagnostics=200") },
  { name: "tsc", run: () => checkCommand("tsc", "--noEmit", "--pretty", "false") },
  { name: "dependency-cruiser", run: () => checkCommand(process.execPath, "tools/src/check-imports.ts") },
  { name: "knip", run: () => checkCommand("knip", "--no-progress") },
  { name: "methods", run: checkMethods },
  { name: "generated documents", run: checkDocuments },
]);

async function checkDocuments(): Promise<CheckResult> {
  const documents = await generateDocuments();
  const outdated = [...documents].filter(
    ([file, text]) =>
      !existsSync(join(repositoryRoot, file)) || readFileSync(join(repositoryRoot, file), "utf8") !== text,
  );
  return {
    ok: outdated.length === 0,
    output: `${outdated.map(([file]) => `outdated: ${file}`).join("\n")}\nnpm run generate updates it`,
    note: `${documents.size} files`,
  };
}
