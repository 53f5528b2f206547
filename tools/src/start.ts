// `npm start`: the whole shop on this machine, until Ctrl-C. `settings.ts` has its settings.
import { loadDotEnv } from "./dot-env.ts";
import { servicesOf } from "./services.ts";
import { readSettings, usage } from "./settings.ts";
import { showHelp } from "./show-help.ts";
import { StartError } from "./start-error.ts";
import { supervise } from "./supervisor.ts";
import { terminal } from "./terminal.ts";

const args = process.argv.slice(2);
showHelp(args, usage);
const print = terminal();
try {
  loadDotEnv();
  const settings = readSettings(args, process.env);
  process.exitCode = await supervise(settings, servicesOf(settings), print);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  print(error.message);
  process.exitCode = 1;
}
