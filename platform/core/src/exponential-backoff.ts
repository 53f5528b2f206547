/**
 * The delay in milliseconds after this many consecutive failures (1 after the first): `firstMs`, doubled with each failure, at
 * most `longestMs`.
 */
export function exponentialBackoff(
  failures: number,
  { firstMs, longestMs }: { readonly firstMs: number; readonly longestMs: number },
): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs);
}
