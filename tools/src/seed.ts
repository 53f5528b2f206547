import { counted } from "./counted.ts";
import { loadDotEnv } from "./dot-env.ts";
import { serviceUrl } from "./internal-clients.ts";
import { seedCatalogue } from "./seed-catalogue.ts";
import { readSettings } from "./settings.ts";
import { showHelp } from "./show-help.ts";
import { orExit } from "./start-error.ts";

showHelp(process.argv.slice(2), "npm run seed loads the sample catalogue into the running shop");
orExit(loadDotEnv);
const settings = orExit(() => readSettings(process.argv.slice(2), process.env));
const inventoryUrl = serviceUrl("inventory", settings);
try {
  const { created, skipped } = await seedCatalogue({
    inventoryUrl,
    dataDir: settings.dataDir,
    log: console.log,
  });
  console.log(`${counted(created, "product")} created, ${skipped} there already`);
} catch (error) {
  console.error(`The sample catalogue could not be loaded into ${inventoryUrl}: ${(error as Error).message}`);
  console.error("Is the shop running (npm start) with the same DATA_DIR?");
  process.exitCode = 1;
}
