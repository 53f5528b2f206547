/**
 * The ratio of a subject to its floor: the median over rounds, in each of which both had one turn.
 * Other work of the machine lasts longer than a round, so it affects both; a round that it affects only partly is one of many.
 */
export function medianRatio(
  subject: readonly { readonly perSecond: number }[],
  floor: readonly { readonly perSecond: number }[],
): number {
  const ratios = subject.map(({ perSecond }, round) => perSecond / floor[round]!.perSecond).sort((a, b) => a - b);
  const middle = ratios.length / 2;
  return (ratios[Math.ceil(middle) - 1]! + ratios[Math.floor(middle)]!) / 2;
}
