/** The part of the total that is reserved for small holders. */
const reservedPart = 1 / 4;

/** Marks a total or a scope as unlimited. */
const noLimit = 0;

/**
 * Shares a bounded resource among holders that are counted in several scopes at once, such as an account and its network. A
 * holder gets at most its scope's `max`; an unlimited scope is not counted. From the last quarter of the total a holder gets
 * something only if it would then hold no more than remains free: the largest holders are refused first, and those without
 * anything last. These are the dynamic thresholds of shared-memory switches (Choudhury and Hahne, "Dynamic Queue Length
 * Thresholds", 1998): if n holders take as much as they can, each gets about 1/(n+1) of the total, and as much stays free.
 */
export class FairShares {
  #total = 0;
  /** Up to this use, only the scopes' own limits apply. */
  #unreserved = 0;
  readonly #scopes: readonly { readonly index: number; readonly max: number; readonly held: Map<unknown, number> }[];
  #used = 0;

  /** @param limits per scope, in the order in which holders are given; 0 for unlimited, as for `total` */
  constructor(total: number, limits: readonly number[]) {
    this.resize(total);
    this.#scopes = limits.flatMap((max, index) => (max === noLimit ? [] : { index, max, held: new Map() }));
  }

  /** Changes the total. Held amounts are kept, even if they exceed it. */
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

  /** Takes `weight` for the holders; false, without effect, if a holder has its share. Release it later, in parts if needed. */
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
