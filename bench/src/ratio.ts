/**
 * How much faster a subject is than its floor: the median over rounds, in each of which both had their turn one after the other.
 * Whatever else the machine does lasts longer than a round, so it meets both; a round that it met halfway is one of many.
 */
export function medianRatio(
  subject: readonly { readonly perSecond: number }[],
  floor: readonly { readonly perSecond: number }[],
): number {
  const ratios = subject.map(({ perSecond }, round) => perSecond / floor[round]!.perSecond).sort((a, b) => a - b);
  const middle = ratios.length / 2;
  return (ratios[Math.ceil(middle) - 1]! + ratios[Math.floor(middle)]!) / 2;
}
