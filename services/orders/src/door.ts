/** Who comes too soon waits at the door for so long at most; who would wait longer is turned away. */
const maxAtTheDoorMs = 350;
/** What is let in shall be decided after so long. */
const targetMs = 800;
/** How much faster or slower orders are let in, per second that they are decided earlier or later than that. */
const gain = 2;
/** At least this share of what is decided is let in, and this many a second: or nobody would see that it is over. */
const least = { share: 0.05, perSecond: 5 };
/** Over so long it is measured how many are decided, while some wait: else it would only tell how many come. */
const measuredMs = { least: 500, most: 2_000 };
/** While nobody waits that rate is not known, and a limit that was set before rises by so much each time. */
const rise = 1.2;
/** Nobody had to wait at the door for so long: then everybody passes at once again. */
const forgetMs = 5_000;
const rememberedMs = 20_000;

interface Count {
  readonly at: number;
  readonly orders: number;
}

/**
 * Lets orders in at the rate at which they are decided, once they come faster. All that it is told is how long the oldest
 * undecided order has waited: as they are decided in turn, those that passed since then are undecided, and those before are
 * decided, which makes a rate; both together tell how long an order that passes now will wait (Little's law). Times are in
 * milliseconds of a clock that does not jump.
 */
export class Door {
  #perSecond = Number.POSITIVE_INFINITY;
  /** When the next one may pass. */
  #nextAt = 0;
  #passed = 0;
  #hadToWaitAt = Number.NEGATIVE_INFINITY;
  /** How many had passed by then, and how many were decided by then; the oldest first. */
  readonly #passedBy: Count[] = [];
  readonly #decidedBy: Count[] = [];

  /** Whether somebody who comes now is turned away; it is remembered that they came. */
  turnsAway(now: number): boolean {
    const turnsAway = this.#nextAt - now > maxAtTheDoorMs;
    if (turnsAway) this.#hadToWaitAt = now;
    return turnsAway;
  }

  /** How long to wait before passing; undefined for those who are turned away. */
  ask(now: number): number | undefined {
    if (this.turnsAway(now)) return undefined;
    const at = Math.max(now, this.#nextAt);
    this.#nextAt = at + 1_000 / this.#perSecond;
    if (at > now) this.#hadToWaitAt = now;
    return at - now;
  }

  /** To be told when somebody has waited as long as was asked. */
  pass(): void {
    this.#passed++;
  }

  /** To be told several times a second for how long the oldest of those who passed has waited; 0 when none waits. */
  adjust(now: number, waitedMs: number): void {
    this.#passedBy.push({ at: now, orders: this.#passed });
    while (this.#passedBy.length > 1 && this.#passedBy[1]!.at < now - rememberedMs) this.#passedBy.shift();
    const perSecond = this.#rate(now, waitedMs);
    // Those who wait at the door pass when they were told to; the next one after as many, at the new rate.
    const aheadMs = Math.max(0, this.#nextAt - now);
    if (aheadMs > 0) this.#nextAt = now + (aheadMs * this.#perSecond) / perSecond;
    this.#perSecond = perSecond;
  }

  #rate(now: number, waitedMs: number): number {
    const isQuiet = now - this.#hadToWaitAt > forgetMs;
    const decided = this.#passedUntil(now - waitedMs);
    if (waitedMs === 0) this.#decidedBy.length = 0;
    while (this.#decidedBy.length > 0 && this.#decidedBy[0]!.at < now - measuredMs.most) this.#decidedBy.shift();
    this.#decidedBy.push({ at: now, orders: decided });
    if (waitedMs === 0) return isQuiet ? Number.POSITIVE_INFINITY : this.#perSecond * rise;

    const [before] = this.#decidedBy as [Count];
    if (now - before.at < measuredMs.least) return this.#perSecond;
    const perSecond = ((decided - before.orders) * 1_000) / (now - before.at);
    const undecided = this.#passed - decided;
    const decidedInMs = undecided === 0 ? 0 : (undecided * 1_000) / perSecond;
    // No more than thrice, for what was measured of a few orders may be far off.
    const willWaitMs = Math.min(Math.max(waitedMs, decidedInMs), 3 * waitedMs);
    if (isQuiet && willWaitMs < targetMs) return Number.POSITIVE_INFINITY;
    const share = 1 + (gain * (targetMs - willWaitMs)) / 1_000;
    return Math.max(least.perSecond, perSecond * Math.max(least.share, share));
  }

  /** How many had passed by then; between two counts as if they had come evenly. */
  #passedUntil(time: number): number {
    const index = this.#passedBy.findLastIndex(({ at }) => at <= time);
    const [from, to] = [this.#passedBy[index], this.#passedBy[index + 1]];
    if (from === undefined) return this.#passedBy[0]?.orders ?? 0;
    if (to === undefined) return from.orders;
    return from.orders + ((to.orders - from.orders) * (time - from.at)) / (to.at - from.at);
  }
}
