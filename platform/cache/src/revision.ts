/**
 * Two counters that only grow, one per writer: an answer is older than another if either counter is smaller. A writer that
 * changes something knows its own counter, and sets the other to 0.
 */
export type Revision = readonly [number, number];

/** The revision of answers without counters: nothing is older. */
export const unrevised: Revision = [0, 0];

/** Whether a revision is older than another one in either counter. */
export function isOlder([first, second]: Revision, than: Revision): boolean {
  return first < than[0] || second < than[1];
}

/** The revision that includes both. */
export function union([first, second]: Revision, other: Revision): Revision {
  return [Math.max(first, other[0]), Math.max(second, other[1])];
}
