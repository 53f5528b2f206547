import { median } from "./median.ts";

/**
 * The ratio of a subject to its floor: the median over rounds, in each of which both had one turn.
 * Other work of the machine lasts longer than a round, so it affects both; a round that it affects only partly is one of many.
 */
export function medianRatio(
  subject: readonly { readonly perSecond: number }[],
  floor: readonly { readonly perSecond: number }[],
): number {
  return median(subject.map(({ perSecond }, round) => perSecond / floor[round]!.perSecond));
}
