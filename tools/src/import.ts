import { loadDotEnv } from "./dot-env.ts";
import { importFile } from "./import-file.ts";
import { readSettings } from "./settings.ts";

loadDotEnv();
const [file, ...rest] = process.argv.slice(2);
if (file === undefined || rest.length > 0) {
  console.error("Which file? npm run import -- products.csv (or products.ndjson)");
  process.exit(2);
}
const settings = readSettings([], process.env);
const inventoryUrl = process.env.INVENTORY_URL?.split(",")[0] || `http://127.0.0.1:${settings.ports.INVENTORY_PORT}`;
try {
  const { created, updated, unchanged, refused } = await importFile({
    file,
    inventoryUrl,
    dataDir: settings.dataDir,
    log: console.log,
  });
  console.log(`${created} products created, ${updated} changed, ${unchanged} as they were, ${refused} rows refused`);
  if (refused > 0) process.exitCode = 1;
} catch (error) {
  console.error(`${file} could not be imported into ${inventoryUrl}: ${(error as Error).message}`);
  console.error("Is the shop running (npm start) with the same DATA_DIR? What was written stays; begin again.");
  process.exitCode = 1;
}
