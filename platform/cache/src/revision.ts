/**
 * Two counters that only grow, each with the changes of one writer: an answer is older than another if either is smaller.
 * Who changes something knows his own counter, and leaves the other at 0.
 */
export type Revision = readonly [number, number];

/** Of what has no counters: nothing is older. */
export const unrevised: Revision = [0, 0];

export function isOlder([first, second]: Revision, than: Revision): boolean {
  return first < than[0] || second < than[1];
}

/** What reflects both. */
export function union([first, second]: Revision, other: Revision): Revision {
  return [Math.max(first, other[0]), Math.max(second, other[1])];
}
