import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { counted } from "./counted.ts";
import { loadDotEnv } from "./dot-env.ts";
import { type Imported, importFile } from "./import/import-file.ts";
import { FileError } from "./import/text-file.ts";
import { inventoryClient, serviceUrl } from "./internal-clients.ts";
import { readSettings } from "./settings.ts";
import { showHelp } from "./show-help.ts";
import { orExit } from "./start-error.ts";
import { onStopSignals } from "./stop-signals.ts";

const callTimeoutMs = 60_000;
const usage = "npm run import -- [--dry-run] products.csv (or products.ndjson)";

showHelp(process.argv.slice(2), usage);
orExit(loadDotEnv);
const settings = orExit(() => readSettings([], process.env));
const { file, dryRun } = readArguments();
const [stop, kill] = [new AbortController(), new AbortController()];
onStopSignals(
  () => {
    console.log("Stopping once the rows in progress are written; Ctrl-C again aborts.");
    stop.abort();
  },
  () => kill.abort(),
);
try {
  const inventoryUrl = serviceUrl("inventory", settings);
  const connect = () => inventoryClient({ inventoryUrl, dataDir: settings.dataDir, timeoutMs: callTimeoutMs });
  const signals = { stop: stop.signal, kill: kill.signal };
  report(inventoryUrl, await importFile({ file, connect, dryRun, log: console.log, ...signals }));
} catch (error) {
  const isFile = error instanceof FileError;
  console.error(`${file} ${isFile ? "" : "could not be imported: "}${(error as Error).message}`);
  console.error("Nothing was written.");
  if (!isFile) console.error("Is the shop running (npm start) with the same DATA_DIR?");
  process.exitCode = 1;
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { "dry-run": { type: "boolean" } } });
    const [given, ...rest] = positionals;
    if (given !== undefined && rest.length === 0) {
      // Without "--" in front of it npm treats the flag as its own. npm runs scripts in the root folder.
      const isDryRun = values["dry-run"] ?? process.env.npm_config_dry_run === "true";
      return { file: resolve(process.env.INIT_CWD ?? "", given), dryRun: isDryRun };
    }
  } catch {
    // An unknown flag.
  }
  console.error(`Which file? ${usage}`);
  process.exit(2);
}

function report(inventoryUrl: string, imported: Imported): void {
  const { created, updated, unchanged, refused, lastLine, error, unanswered, isStopped } = imported;
  const would = dryRun ? " would be" : "";
  if (isStopped || error !== undefined) {
    process.exitCode = 1;
    const why = isStopped ? "was stopped" : `failed: ${(error as Error).message}`;
    console.error(`The import of ${file} into ${inventoryUrl} ${why}`);
    if (dryRun) console.error("Nothing was written: it was a dry run.");
    else if (lastLine === 0) console.error(unanswered ? "No row is known to be written." : "Nothing was written.");
    else console.error(`The rows up to line ${lastLine} are complete, as counted below.`);
    if (unanswered && !dryRun)
      console.error(
        `Lines ${unanswered.from} to ${unanswered.to} were sent, and may have been written or not. No later line was.`,
      );
    else if (!dryRun && lastLine > 0) console.error("No later line was written.");
    console.error("You can import the same file again: rows that are already written change nothing.");
    if (error !== undefined) console.error("Is the shop running (npm start) with the same DATA_DIR?");
  }
  console.log(
    `${counted(created, "product")}${would} created, ${updated}${would} changed, ${unchanged} unchanged, ${counted(refused, "row")} refused`,
  );
  if (refused > 0) process.exitCode = 1;
}
