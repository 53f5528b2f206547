import { callApart } from "./call-apart.ts";
import { loadDotEnv } from "./dot-env.ts";
import { servicesOf } from "./services.ts";
import type { readSettings } from "./settings.ts";
import { showHelp } from "./show-help.ts";
import { StartError } from "./start-error.ts";
import { startUsage } from "./start-usage.ts";
import { supervise } from "./supervisor.ts";
import { terminal } from "./terminal.ts";

/** Runs the shop with these arguments of `npm start`, until it is stopped. Returns the exit code. */
export async function startShop(args: readonly string[]): Promise<number> {
  showHelp(args, startUsage);
  const print = terminal();
  try {
    loadDotEnv();
    const read = { file: "settings.ts", name: "readSettings" };
    const settings = await callApart<typeof readSettings>(read, [args, { ...process.env }]);
    return await supervise(settings, servicesOf(settings), print);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    print(error.message);
    return 1;
  }
}
