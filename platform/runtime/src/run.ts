import cluster from "node:cluster";
import { flushCompileCache } from "node:module";
import { ConfigError } from "@shop/core";
import { releaseStartMemory } from "./release-start-memory.ts";
import type { ServiceModule } from "./service-module.ts";
import { readSettings } from "./settings.ts";
import { startModules } from "./start-modules.ts";
import { StartFailed } from "./workers/kept-worker.ts";
import { startWorkers } from "./workers/start-workers.ts";
import { onStopRequested, workerHost } from "./workers/worker.ts";

/**
 * Runs modules until SIGTERM or SIGINT, then drains them: in this process, or in WORKERS worker processes. If they can't start,
 * it prints the reason and exits with 1.
 */
export async function run(modules: readonly ServiceModule[]): Promise<void> {
  await runProcess(async (environment, signal) => {
    if (cluster.isWorker) return await startModules(modules, environment, signal, await workerHost());
    const { platform } = readSettings(modules, environment);
    return await (platform.WORKERS > 1 ? startWorkers(platform, signal) : startModules(modules, environment, signal));
  });
}

/** Runs the result of `start` like {@link run}. `signal` fires when the process has to end, also during the start. */
export async function runProcess(
  start: (environment: NodeJS.ProcessEnv, signal: AbortSignal) => Promise<{ close(): Promise<void> }>,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort(new Error(signal)));
  onStopRequested(() => stop.abort(new Error("stop requested")));
  try {
    const running = await start(process.env, stop.signal);
    // Node writes its compile cache at exit (NODE_COMPILE_CACHE): a process that is killed later would start without it.
    flushCompileCache();
    releaseStartMemory();
    if (!stop.signal.aborted) {
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
    }
    await running.close();
    process.exit(0);
  } catch (error) {
    if (stop.signal.aborted) process.exit(0);
    if (error instanceof StartFailed) process.exit(error.exitCode);
    console.error(error instanceof ConfigError ? `The configuration is invalid:\n${error.message}` : error);
    process.exit(1);
  }
}
