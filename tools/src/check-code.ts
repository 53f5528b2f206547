import { checkCommand, runChecks } from "./check-run.ts";

await runChecks([
  { name: "biome", run: () => checkCommand("biome", "ci", "--colors=off", "--max-diagnostics=200") },
  { name: "tsc", run: () => checkCommand("tsc", "--noEmit", "--pretty", "false") },
  { name: "dependency-cruiser", run: () => checkCommand(process.execPath, "tools/src/check-imports.ts") },
  { name: "knip", run: () => checkCommand("knip", "--no-progress") },
]);
