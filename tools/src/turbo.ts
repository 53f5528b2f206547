import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";

// `npm run check` and `npm run generate`: turbo, without its telemetry.
const { status } = spawnSync(
  process.execPath,
  [join(repositoryRoot, "node_modules/turbo/bin/turbo"), "run", ...process.argv.slice(2)],
  { stdio: "inherit", env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" } },
);
process.exitCode = status ?? 1;
