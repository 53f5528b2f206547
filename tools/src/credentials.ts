import { serverCredentials } from "./infra/credentials.ts";
import { composeVariables } from "./infra/docker-environment.ts";
import { openDataDir } from "./private-folder.ts";
import { readSettings } from "./settings.ts";
import { shopAccounts } from "./shop-accounts.ts";
import { orExit } from "./start-error.ts";

// Prints the credentials of the servers for compose.yaml, as lines of an .env file: those of DATA_DIR, generated if missing.
process.umask(0o077);
const { dataDir } = orExit(() => readSettings([], process.env));
orExit(() => openDataDir(dataDir));
const credentials = await serverCredentials(dataDir, shopAccounts);
for (const [name, value] of Object.entries(composeVariables(shopAccounts, credentials))) {
  console.log(`${name}='${value}'`);
}
