/** What is let in shall be decided after so long. */
const targetMs = 600;
/** As many as are decided in so long wait at the door; who would wait longer is turned away. */
const atTheDoorMs = 300;
/**
 * That many more may be undecided than are decided in the time that was meant: of several processes that let orders in, those
 * that let in less come to their share by it.
 */
const headroom = 20;
/** So many may be undecided while it is not known how fast orders are decided. */
const mostWhileUnknown = 1_500;
/** Over so long it is measured how many are decided, while some wait: else it would only tell how many come. */
const measuredMs = { least: 500, most: 2_000 };
/** While nobody waits that rate is not known, and how many may be undecided rises by so much each time. */
const rise = 1.2;
/** Everybody passed at once for so long: what was known of a crowd is forgotten. */
const forgetMs = 5_000;
const rememberedMs = 20_000;

interface Count {
  readonly at: number;
  readonly lines: number;
}

/** An order that has passed, until it is decided. */
interface Undecided {
  /** How many lines had passed by then, its own included. */
  readonly upTo: number;
  readonly decided: () => void;
}

interface Waiting {
  readonly lines: number;
  readonly decided: () => void;
}

/**
 * Keeps as many orders undecided as are decided in the time that one shall take. All that it is told is how long the oldest
 * undecided order has waited: as they are decided in turn, those that passed since then are undecided, and those before are
 * decided, which makes a rate; both together tell how long an order that passes now will wait (Little's law). Times are in
 * milliseconds of a clock that does not jump. An order counts as many times as it has lines, which is what it costs to decide.
 */
export class Door {
  #mostUndecided = mostWhileUnknown;
  #passed = 0;
  /** Of these, those that are not stored yet: nobody can tell how long they have waited. */
  #placing = 0;
  /** By what was told last. */
  #decided = 0;
  #crowdedAt = Number.NEGATIVE_INFINITY;
  /** Those at the door, each to be called when it may pass; the first first. */
  readonly #waiting = new Map<() => void, Waiting>();
  #waitingLines = 0;
  /** The first first. */
  readonly #undecided: Undecided[] = [];
  /** How many had passed by then, and how many were decided by then; the oldest first. */
  readonly #passedBy: Count[] = [];
  readonly #decidedBy: Count[] = [];

  /** Whether somebody who comes now is turned away; it is remembered that they came. */
  turnsAway(now: number): boolean {
    const ahead = this.#passed + this.#waitingLines - this.#decided;
    if (ahead >= this.#mostUndecided) this.#crowdedAt = now;
    return ahead >= this.most;
  }

  /** Lines that may be undecided or wait, together. */
  get most(): number {
    return this.#mostUndecided * (1 + atTheDoorMs / targetMs);
  }

  /**
   * Calls `pass` at once or when there is room, unless one leaves before; who has passed says `placed`. For those who are not
   * turned away. `decided` is called when an order that passed is decided, or will never be.
   */
  wait(pass: () => void, lines = 1, decided = () => {}): void {
    this.#waiting.set(pass, { lines, decided });
    this.#waitingLines += lines;
    this.#letIn();
  }

  leave(pass: () => void): void {
    this.#waitingLines -= this.#waiting.get(pass)?.lines ?? 0;
    this.#waiting.delete(pass);
  }

  placed(lines = 1): void {
    this.#placing -= lines;
  }

  /** To be told several times a second for how long the oldest of those who passed has waited; 0 when none waits. */
  adjust(now: number, waitedMs: number): void {
    this.#passedBy.push({ at: now, lines: this.#passed });
    while (this.#passedBy.length > 1 && this.#passedBy[1]!.at < now - rememberedMs) this.#passedBy.shift();
    // What was decided stays so, whatever a clock says.
    const decided = Math.min(this.#passedUntil(now - waitedMs), this.#passed - this.#placing);
    this.#decided = Math.max(this.#decided, decided);
    const next = this.#undecided.findIndex(({ upTo }) => upTo > this.#decided);
    for (const one of this.#undecided.splice(0, next === -1 ? this.#undecided.length : next)) one.decided();

    if (waitedMs === 0) this.#decidedBy.length = 0;
    while (this.#decidedBy.length > 0 && this.#decidedBy[0]!.at < now - measuredMs.most) this.#decidedBy.shift();
    this.#decidedBy.push({ at: now, lines: this.#decided });
    this.#mostUndecided = this.#most(now, waitedMs);
    this.#letIn();
  }

  #letIn(): void {
    for (const [pass, { lines, decided }] of this.#waiting) {
      if (this.#passed - this.#decided >= this.#mostUndecided) return;
      this.leave(pass);
      this.#passed += lines;
      this.#placing += lines;
      this.#undecided.push({ upTo: this.#passed, decided });
      pass();
    }
  }

  #most(now: number, waitedMs: number): number {
    if (now - this.#crowdedAt > forgetMs && waitedMs < targetMs) return mostWhileUnknown;
    const [before, after] = [this.#decidedBy[0]!, this.#decidedBy.at(-1)!];
    if (before === after) return this.#mostUndecided * rise;
    const tookMs = after.at - before.at;
    if (tookMs < measuredMs.least) return this.#mostUndecided;
    return headroom + ((after.lines - before.lines) * targetMs) / tookMs;
  }

  /** How many had passed by then; between two counts as if they had come evenly. */
  #passedUntil(time: number): number {
    const index = this.#passedBy.findLastIndex(({ at }) => at <= time);
    const [from, to] = [this.#passedBy[index], this.#passedBy[index + 1]];
    if (from === undefined) return this.#passedBy[0]?.lines ?? 0;
    if (to === undefined) return from.lines;
    return from.lines + ((to.lines - from.lines) * (time - from.at)) / (to.at - from.at);
  }
}
