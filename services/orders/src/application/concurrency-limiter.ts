/** An admitted order is to be decided within this time. */
const targetMs = 600;
/** As many orders may queue as are decided in this time; more are shed. */
const queueMs = 300;
/** Added to the computed limit, so that a process whose share of the load is too small can grow to its fair one. */
const headroom = 20;
/** The limit while the rate of decisions is not known. */
const limitWhileUnknown = 1_500;
/** The window in which the rate is measured, while orders are undecided; otherwise it would be the rate of arrivals. */
const measuredMs = { least: 500, most: 2_000 };
/** While no order is undecided the rate is not known, and the limit grows by this factor at each adjustment. */
const rise = 1.2;
/** After this time without a queue the limit is reset. */
const forgetMs = 5_000;
const rememberedMs = 20_000;

interface Count {
  readonly at: number;
  readonly lines: number;
}

/** An admitted order, until it is decided. */
interface Undecided {
  /** The count of admitted lines, its own included, when it was admitted. */
  readonly upTo: number;
  readonly decided: () => void;
}

interface Waiting {
  readonly lines: number;
  readonly decided: () => void;
}

/**
 * A concurrency limiter with a queue: keeps as many orders undecided as are decided within `targetMs`. Its only input is the age of the
 * oldest undecided order. Orders are decided in turn, so orders older than that are decided and younger ones are not, which gives the
 * rate of decisions; by Little's law, rate times target is the limit. Times are milliseconds of a monotonic clock. An order weighs as
 * much as it has lines, because the cost of deciding it grows with its lines.
 */
export class ConcurrencyLimiter {
  #mostUndecided = limitWhileUnknown;
  #admitted = 0;
  /** Admitted lines that are not stored yet, so their age is not known. */
  #placing = 0;
  /** Lines decided, as of the last adjustment. */
  #decided = 0;
  #crowdedAt = Number.NEGATIVE_INFINITY;
  /** The queue, in order; its keys are the callbacks of {@link wait}. */
  readonly #waiting = new Map<() => void, Waiting>();
  #waitingLines = 0;
  /** Oldest first. */
  readonly #undecided: Undecided[] = [];
  /** Counts at past times, oldest first. */
  readonly #admittedBy: Count[] = [];
  readonly #decidedBy: Count[] = [];

  /** Whether an order that arrives now is shed. Remembers that one arrived at the limit. */
  sheds(now: number): boolean {
    const ahead = this.#admitted + this.#waitingLines - this.#decided;
    if (ahead >= this.#mostUndecided) this.#crowdedAt = now;
    return ahead >= this.most;
  }

  /** Lines that may be undecided or queued, together. */
  get most(): number {
    return this.#mostUndecided * (1 + queueMs / targetMs);
  }

  /**
   * Queues an order that is not shed: calls `onAdmitted` at once or when there is room, unless {@link leave} is called before. The
   * caller then stores the order, and calls {@link placed} whether that succeeds or not. `decided` is called when it is decided, or
   * never will be.
   */
  wait(onAdmitted: () => void, lines = 1, decided = () => {}): void {
    this.#waiting.set(onAdmitted, { lines, decided });
    this.#waitingLines += lines;
    this.#admit();
  }

  leave(onAdmitted: () => void): void {
    this.#waitingLines -= this.#waiting.get(onAdmitted)?.lines ?? 0;
    this.#waiting.delete(onAdmitted);
  }

  placed(lines = 1): void {
    this.#placing -= lines;
  }

  /** To be called several times a second with the age of the oldest undecided order; 0 when there is none. */
  adjust(now: number, waitedMs: number): void {
    this.#admittedBy.push({ at: now, lines: this.#admitted });
    while (this.#admittedBy.length > 1 && this.#admittedBy[1]!.at < now - rememberedMs) this.#admittedBy.shift();
    // Decisions are final, so the count never falls, even if a clock is set back.
    const decided = Math.min(this.#admittedUntil(now - waitedMs), this.#admitted - this.#placing);
    this.#decided = Math.max(this.#decided, decided);
    const next = this.#undecided.findIndex(({ upTo }) => upTo > this.#decided);
    for (const one of this.#undecided.splice(0, next === -1 ? this.#undecided.length : next)) one.decided();

    if (waitedMs === 0) this.#decidedBy.length = 0;
    while (this.#decidedBy.length > 0 && this.#decidedBy[0]!.at < now - measuredMs.most) this.#decidedBy.shift();
    this.#decidedBy.push({ at: now, lines: this.#decided });
    this.#mostUndecided = this.#most(now, waitedMs);
    this.#admit();
  }

  #admit(): void {
    for (const [onAdmitted, { lines, decided }] of this.#waiting) {
      if (this.#admitted - this.#decided >= this.#mostUndecided) return;
      this.leave(onAdmitted);
      this.#admitted += lines;
      this.#placing += lines;
      this.#undecided.push({ upTo: this.#admitted, decided });
      onAdmitted();
    }
  }

  #most(now: number, waitedMs: number): number {
    if (now - this.#crowdedAt > forgetMs && waitedMs < targetMs) return limitWhileUnknown;
    const [before, after] = [this.#decidedBy[0]!, this.#decidedBy.at(-1)!];
    if (before === after) return this.#mostUndecided * rise;
    const tookMs = after.at - before.at;
    if (tookMs < measuredMs.least) return this.#mostUndecided;
    return headroom + ((after.lines - before.lines) * targetMs) / tookMs;
  }

  /** Lines admitted until `time`, interpolated between two counts. */
  #admittedUntil(time: number): number {
    const index = this.#admittedBy.findLastIndex(({ at }) => at <= time);
    const [from, to] = [this.#admittedBy[index], this.#admittedBy[index + 1]];
    if (from === undefined) return this.#admittedBy[0]?.lines ?? 0;
    if (to === undefined) return from.lines;
    return from.lines + ((to.lines - from.lines) * (time - from.at)) / (to.at - from.at);
  }
}
