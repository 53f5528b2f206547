const silentAfterMs = 400;
/** Then it is tried again. */
const believedMs = 1_000;

/**
 * Notices a replica that takes calls and answers none: it hangs, or its answers are lost on the way. The kernel still accepts
 * connections for it, so nothing else tells until the calls run out of time.
 */
export class OutlierDetection {
  /** Since when each answer has been waited for, the oldest first. */
  readonly #waits = new Set<{ readonly since: number }>();
  #heardAt = Number.NEGATIVE_INFINITY;
  #gaveUpAt = Number.NEGATIVE_INFINITY;

  /** Somebody has waited for long, or has given up waiting just now, and nobody else was answered since. */
  get isOutlier(): boolean {
    const now = performance.now();
    const [oldest] = this.#waits;
    if (oldest !== undefined && isLong(now - oldest.since) && this.#heardAt < oldest.since) return true;
    return now - this.#gaveUpAt < believedMs && this.#heardAt < this.#gaveUpAt;
  }

  /** Settles as `answer` does. */
  async during<Result>(answer: Promise<Result>): Promise<Result> {
    const wait = { since: performance.now() };
    this.#waits.add(wait);
    try {
      const result = await answer;
      this.#heardAt = performance.now();
      return result;
    } catch (error) {
      const now = performance.now();
      if (isLong(now - wait.since) && this.#heardAt < wait.since) this.#gaveUpAt = now;
      throw error;
    } finally {
      this.#waits.delete(wait);
    }
  }
}

function isLong(waitedMs: number): boolean {
  return waitedMs > silentAfterMs;
}
