/** Doubles from the first delay with each attempt that failed in a row, up to the longest. `failures` is 1 after the first. */
export function exponentialBackoff(
  failures: number,
  { firstMs, longestMs }: { readonly firstMs: number; readonly longestMs: number },
): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs);
}
