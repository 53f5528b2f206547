import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { claim } from "./claim.ts";
import { loadDotEnv } from "./dot-env.ts";
import { openDataDir } from "./private-folder.ts";
import { ensureServiceKeys, rotateServiceKeys } from "./service-keys.ts";
import { readSettings } from "./settings.ts";
import { showHelp } from "./show-help.ts";
import { orExit } from "./start-error.ts";

/** Every process reads its files every two seconds; network mounts may show a change later. */
const readMs = 10_000;
/** A credential lives a minute. */
const unusedMs = readMs + 60_000;

const usage = "npm run service-keys generates missing keys; npm run service-keys -- rotate rotates all of them";
const args = process.argv.slice(2);
showHelp(args, usage);
orExit(loadDotEnv);
const [command, ...rest] = args;
if ((command !== undefined && command !== "rotate") || rest.length > 0) {
  console.error(usage);
  process.exit(2);
}
const { dataDir } = orExit(() => readSettings([], process.env));
orExit(() => openDataDir(dataDir));
ensureServiceKeys(dataDir);
const folder = join(dataDir, "keys");
if (command === undefined) {
  console.log(`The keys of all services are in ${folder}`);
} else {
  const lock = claim(join(folder, "rotation.lock"));
  if ("heldBy" in lock) {
    console.error(`The keys in ${folder} are already being rotated (pid ${lock.heldBy})`);
    process.exit(1);
  }
  console.log(`Rotating the keys in ${folder} takes ${(readMs + unusedMs) / 1000} s: the new public ones come first`);
  await rotateServiceKeys(dataDir, {
    untilRead: () => delay(readMs),
    async untilUnused() {
      console.log("The new keys sign; the old ones stay until their credentials have expired");
      await delay(unusedMs);
    },
  });
  lock.release();
  console.log("The old keys are removed");
}
