import { exponentialBackoff } from "./exponential-backoff.ts";

const backoff = { firstMs: 200, longestMs: 5_000 };
const shortestLifeMs = 500;

/**
 * When a supervised process that died is started again. After it was ready: at once, but not within 0.5 s of its last start. Before that,
 * another start may well end the same: after 0.2 s, twice as long after each such death in a row, and after 5 s at most.
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
