// Preloaded into the services of a shop under test: on SIGUSR2 they collect garbage, so that a test can
// measure the memory still in use.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
process.on("SIGUSR2", () => collectGarbage());
