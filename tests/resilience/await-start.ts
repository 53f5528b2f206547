// Preloaded (`node --import`) into a service that a test wants to start at once when its turn comes: most of a start is
// loading, so that is done before anybody waits for it, and remembered for the next one. The turn comes by message.
import { once } from "node:events";
import { flushCompileCache } from "node:module";
import { pathToFileURL } from "node:url";

process.on("disconnect", () => process.exit(1));
const told = once(process, "message");
await import(new URL("service.ts", pathToFileURL(process.argv[1]!)).href);
flushCompileCache();
await told;
