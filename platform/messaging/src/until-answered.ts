import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@shop/core";
import { isDependencyLost } from "./dependency-lost.ts";

/** The delay between attempts: a killed server is often back quickly. */
const retryMs = { first: 50, most: 500 };

/**
 * Retries until the attempt does not fail for lack of a dependency, or `signal` fires. `why` is logged with each failed
 * attempt.
 */
export async function untilAnswered<Result>(
  attempt: () => Promise<Result>,
  why: string,
  log: Logger,
  signal: AbortSignal,
): Promise<Result> {
  for (let waitMs = retryMs.first; ; waitMs = Math.min(2 * waitMs, retryMs.most)) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!isDependencyLost(error)) throw error;
      log.warn({ err: error }, why);
      await delay(waitMs, undefined, { signal });
    }
  }
}
