// Preloaded into the services of a shop under test: on SIGUSR2 they give up the memory that they hold no longer, so that a test can
// measure what they still hold.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
process.on("SIGUSR2", () => collectGarbage());
