// `npm start`: the whole shop on this machine, until Ctrl-C. `settings.ts` has its settings.
import { enableCompileCache, flushCompileCache } from "node:module";
import { join } from "node:path";

// This file is JavaScript so that no types are stripped in this process once the cache is filled: that takes 35 MiB, and keeps them.
enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/node"));
const { startShop } = await import("./start-shop.ts");
flushCompileCache();
process.exitCode = await startShop(process.argv.slice(2));
