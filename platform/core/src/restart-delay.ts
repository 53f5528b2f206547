import { exponentialBackoff } from "./exponential-backoff.ts";

const backoff = { firstMs: 200, longestMs: 5_000 };
const shortestLifeMs = 500;

/**
 * The restart policy of a supervised process. If it died after it was ready, it is restarted at once, but not within 0.5 s of
 * its last start. If it died before, a restart may well fail the same way: the delay is 0.2 s, doubled after each consecutive
 * such death, at most 5 s.
 */
export class RestartDelay {
  #deathsBeforeReady = 0;

  /**
   * Counts a death.
   *
   * @param livedMs from its start to its death
   * @returns the milliseconds to wait before the next start
   */
  afterDeath(wasReady: boolean, livedMs: number): number {
    if (wasReady) {
      this.#deathsBeforeReady = 0;
      return Math.max(0, Math.ceil(shortestLifeMs - livedMs));
    }
    return exponentialBackoff(++this.#deathsBeforeReady, backoff);
  }
}
