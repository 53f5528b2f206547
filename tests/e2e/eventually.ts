import { setTimeout as sleep } from "node:timers/promises";

/**
 * Repeats `check` until it no longer throws, and returns its result. Rethrows its last error once `timeoutMs` have
 * passed or the error is final.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  {
    timeoutMs = 10_000,
    everyMs = 20,
    hopeless = () => false,
  }: { timeoutMs?: number; everyMs?: number; hopeless?: () => boolean } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline || hopeless()) throw error;
    }
    await sleep(everyMs);
  }
}
