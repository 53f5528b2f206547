// `npm start`: the whole shop on this machine, until Ctrl-C. `settings.ts` says what can be set.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";
import { servicesOf } from "./services.ts";
import { readSettings } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { supervise } from "./supervisor.ts";
import { terminal } from "./terminal.ts";

const print = terminal();
const dotEnv = join(repositoryRoot, ".env");
if (existsSync(dotEnv)) process.loadEnvFile(dotEnv);
try {
  const settings = readSettings(process.argv.slice(2), process.env);
  process.exitCode = await supervise(settings, servicesOf(settings), print);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  print(error.message);
  process.exitCode = 1;
}
