import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@shop/core";
import type { Bus } from "./bus.ts";

const lookEveryMs = 1_000;

/**
 * Creates streams and consumers again that disappear, within a second or two, and at once when the connection is back. The
 * answer stops it.
 */
export function keepTopology(bus: Bus, log: Logger): () => Promise<void> {
  const stopping = new AbortController();
  let wake = () => {};
  const forgetBack = bus.whenBack(() => wake());
  const kept = (async () => {
    while (!stopping.signal.aborted) {
      const pause = new AbortController();
      wake = () => pause.abort();
      await delay(lookEveryMs, undefined, { signal: AbortSignal.any([stopping.signal, pause.signal]) }).catch(() => {});
      if (stopping.signal.aborted || !bus.isConnected()) continue;
      try {
        const restored = await bus.topology.restore();
        if (restored.length > 0)
          log.warn({ missing: restored }, "streams or consumers had disappeared and were created again");
      } catch (error) {
        log.warn({ err: error }, "streams or consumers have disappeared and can't be created, trying again");
      }
    }
  })();
  return async () => {
    stopping.abort();
    forgetBack();
    await kept;
  };
}
