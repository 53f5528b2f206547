import { setTimeout as delay } from "node:timers/promises";

/** Repeats an action, `atOnce` concurrently; returns the count and the rate per second. */
export async function repeat(
  work: () => Promise<unknown>,
  { atOnce, seconds }: { readonly atOnce: number; readonly seconds: number },
): Promise<{ readonly times: number; readonly perSecond: number }> {
  let times = 0;
  let running = true;
  const startedAt = performance.now();
  const loops = Array.from({ length: atOnce }, async () => {
    while (running) {
      await work();
      times++;
    }
  });
  await delay(seconds * 1000);
  running = false;
  await Promise.all(loops);
  return { times, perSecond: times / ((performance.now() - startedAt) / 1000) };
}
