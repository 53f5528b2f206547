import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@shop/core";
import type { Bus } from "./bus.ts";

const checkIntervalMs = 1_000;

/**
 * Recreates streams and consumers that have disappeared, within a second or two, and at once after a reconnect. Returns a
 * function that stops it.
 */
export function keepTopology(bus: Bus, log: Logger): () => Promise<void> {
  const stopping = new AbortController();
  let wake = () => {};
  const unsubscribe = bus.onReconnect(() => wake());
  const kept = (async () => {
    while (!stopping.signal.aborted) {
      const pause = new AbortController();
      wake = () => pause.abort();
      await delay(checkIntervalMs, undefined, { signal: AbortSignal.any([stopping.signal, pause.signal]) }).catch(
        () => {},
      );
      if (stopping.signal.aborted || !bus.isConnected()) continue;
      try {
        const restored = await bus.topology.restore();
        if (restored.length > 0)
          log.warn({ missing: restored }, "streams or consumers had disappeared and were created again");
      } catch (error) {
        log.warn({ err: error }, "streams or consumers have disappeared and can't be created, retrying");
      }
    }
  })();
  return async () => {
    stopping.abort();
    unsubscribe();
    await kept;
  };
}
