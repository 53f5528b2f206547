import { inject, onTestFinished } from "vitest";
import type { ServiceModule } from "../service-module.ts";
import { type RunningModules, startModules } from "../start-modules.ts";

/** Starts a module on the shared test servers, with these additional settings; closed when the test ends. */
export async function startTestModule(
  module: ServiceModule,
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningModules> {
  const servers = {
    MONGODB_URI: inject("mongodbUri"),
    NATS_URL: inject("natsUrl"),
    REDIS_URL: inject("redisUrl"),
  };
  const environment = { ...servers, LOG_LEVEL: "error", ...settings };
  const running = await startModules([module], environment, new AbortController().signal);
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= running.close());
  onTestFinished(close);
  return { close };
}
