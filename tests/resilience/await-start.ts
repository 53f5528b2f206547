// Preloaded (`node --import`) into a service that a test wants to start without delay later: most of a start is
// loading modules, which happens in advance. A message starts the service.
import { once } from "node:events";
import { flushCompileCache } from "node:module";
import { pathToFileURL } from "node:url";

process.on("disconnect", () => process.exit(1));
const startMessage = once(process, "message");
await import(new URL("service.ts", pathToFileURL(process.argv[1]!)).href);
flushCompileCache();
await startMessage;
