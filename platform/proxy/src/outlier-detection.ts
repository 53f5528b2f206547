const outlierAfterMs = 400;
/** The time for which a replica that timed out counts as an outlier; then it is tried again. */
const outlierForMs = 1_000;

/**
 * Detects a replica that accepts calls and answers none: it hangs, or its answers are lost. The kernel still accepts
 * connections for it, so that otherwise only timeouts would show it.
 *
 * A replica is an outlier while its oldest call has waited for over 400 ms, and for 1 s after such a call failed, unless it has
 * answered any call since.
 */
export class OutlierDetection {
  /** The pending calls, oldest first. */
  readonly #waits = new Set<{ readonly since: number }>();
  #answeredAt = Number.NEGATIVE_INFINITY;
  #timedOutAt = Number.NEGATIVE_INFINITY;

  /** A call has waited for long, or failed recently after a long wait, and no other call was answered since. */
  get isOutlier(): boolean {
    const now = performance.now();
    const [oldest] = this.#waits;
    if (oldest !== undefined && isLong(now - oldest.since) && this.#answeredAt < oldest.since) return true;
    return now - this.#timedOutAt < outlierForMs && this.#answeredAt < this.#timedOutAt;
  }

  /** Tracks a call; settles like `answer`. */
  async track<Result>(answer: Promise<Result>): Promise<Result> {
    const wait = { since: performance.now() };
    this.#waits.add(wait);
    try {
      const result = await answer;
      this.#answeredAt = performance.now();
      return result;
    } catch (error) {
      const now = performance.now();
      if (isLong(now - wait.since) && this.#answeredAt < wait.since) this.#timedOutAt = now;
      throw error;
    } finally {
      this.#waits.delete(wait);
    }
  }
}

function isLong(waitedMs: number): boolean {
  return waitedMs > outlierAfterMs;
}
