import cluster from "node:cluster";
import { flushCompileCache } from "node:module";
import { ConfigError } from "@shop/core";
import type { ServiceModule } from "./service-module.ts";
import { readSettings } from "./settings.ts";
import { startModules } from "./start-modules.ts";
import { StartFailed } from "./workers/kept-worker.ts";
import { startWorkers } from "./workers/start-workers.ts";
import { onToldToStop, workerHost } from "./workers/worker.ts";

/**
 * Runs modules until SIGTERM or SIGINT, then drains them: in this process, or in as many others as WORKERS says. Exits 1,
 * saying why, when they can't start.
 */
export async function run(modules: readonly ServiceModule[]): Promise<void> {
  await runProcess(async (environment, signal) => {
    if (cluster.isWorker) return await startModules(modules, environment, signal, await workerHost());
    const { platform } = readSettings(modules, environment);
    return await (platform.WORKERS > 1 ? startWorkers(platform, signal) : startModules(modules, environment, signal));
  });
}

/** Runs what `start` starts, as {@link run} does. `signal` fires when the process is to end, also before all is up. */
export async function runProcess(
  start: (environment: NodeJS.ProcessEnv, signal: AbortSignal) => Promise<{ close(): Promise<void> }>,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort(new Error(signal)));
  onToldToStop(() => stop.abort(new Error("told to stop")));
  try {
    const running = await start(process.env, stop.signal);
    // Node writes what it compiled when it exits (NODE_COMPILE_CACHE): whoever is killed would start from nothing again.
    flushCompileCache();
    if (!stop.signal.aborted) {
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
    }
    await running.close();
    process.exit(0);
  } catch (error) {
    if (stop.signal.aborted) process.exit(0);
    if (error instanceof StartFailed) process.exit(error.exitCode);
    console.error(error instanceof ConfigError ? `The configuration is wrong:\n${error.message}` : error);
    process.exit(1);
  }
}
