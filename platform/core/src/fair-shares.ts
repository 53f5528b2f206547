/** What of the total goes to small holders only, once the rest is taken. */
const reservedPart = 1 / 4;

/** A resource without a limit. */
const noLimit = 0;

/**
 * Shares a bounded resource out among holders that are counted in several scopes at once, such as an account and its network.
 * A holder gets at most its scope's `max`; a scope without a limit is not counted. Of the last quarter of the total a holder gets
 * something only while it would then hold no more than is free: the largest holders are refused first, and those that hold nothing
 * last. These are the dynamic thresholds of shared-memory switches (Choudhury and Hahne, "Dynamic Queue Length Thresholds", 1998): of n
 * holders that want everything each gets about 1/(n+1) of the total, and as much stays free.
 */
export class FairShares {
  #total = 0;
  /** Until so much is taken, the scopes' own limits are all there is. */
  #unreserved = 0;
  readonly #scopes: readonly { readonly index: number; readonly max: number; readonly held: Map<unknown, number> }[];
  #used = 0;

  /** @param limits per scope, in the order in which holders are named; 0 for no limit, as for `total` */
  constructor(total: number, limits: readonly number[]) {
    this.resize(total);
    this.#scopes = limits.flatMap((max, index) => (max === noLimit ? [] : { index, max, held: new Map() }));
  }

  /** What is held stays held, also when it is more. */
  resize(total: number): void {
    this.#total = total === noLimit ? Number.POSITIVE_INFINITY : total;
    this.#unreserved = total === noLimit ? this.#total : total - Math.floor(total * reservedPart);
  }

  get used(): number {
    return this.#used;
  }

  /** @param holders one per scope; undefined counts towards the total only */
  mayTake(holders: readonly unknown[], weight = 1): boolean {
    const free = this.#total - this.#used;
    if (weight > free) return false;
    const isReserve = this.#used + weight > this.#unreserved;
    for (const { index, max, held } of this.#scopes) {
      const holder = holders[index];
      if (holder === undefined) continue;
      const wanted = (held.get(holder) ?? 0) + weight;
      if (wanted > max || (isReserve && wanted > free)) return false;
    }
    return true;
  }

  /** False, and nothing is taken, when a holder has its share. What was taken is to be released, in parts if need be. */
  take(holders: readonly unknown[], weight = 1): boolean {
    if (!this.mayTake(holders, weight)) return false;
    this.#add(holders, weight);
    return true;
  }

  release(holders: readonly unknown[], weight = 1): void {
    this.#add(holders, -weight);
  }

  #add(holders: readonly unknown[], weight: number): void {
    this.#used += weight;
    for (const { index, held } of this.#scopes) {
      const holder = holders[index];
      if (holder === undefined) continue;
      const left = (held.get(holder) ?? 0) + weight;
      if (left === 0) held.delete(holder);
      else held.set(holder, left);
    }
  }
}
