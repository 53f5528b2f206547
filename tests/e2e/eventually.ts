import { setTimeout as sleep } from "node:timers/promises";

/**
 * Tries until `check` no longer throws, and answers what it answered; throws what it threw last once `timeoutMs` have
 * passed or it has become hopeless.
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
