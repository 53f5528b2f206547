import { setTimeout as delay } from "node:timers/promises";
import { isDependencyLost } from "./dependency-lost.ts";
import type { Logger } from "./log.ts";

const retryMs = 500;

/** Attempts until the servers it needs let it, or `signal` fires; `why` is logged with each attempt in vain. */
export async function untilAnswered<Result>(
  attempt: () => Promise<Result>,
  why: string,
  log: Logger,
  signal: AbortSignal,
): Promise<Result> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!isDependencyLost(error)) throw error;
      log.warn({ err: error }, why);
      await delay(retryMs, undefined, { signal });
    }
  }
}
