const attempts = 5;

/**
 * Repeats a compare-and-set until it succeeds. `attempt` reads, decides and writes; it answers undefined when another
 * write was first, and is called again at once, to decide on what there is now. With `busy` it is called five times at
 * most, and then the error that `busy` makes is thrown; without, as often as it takes, for writes of which one always succeeds.
 */
export async function retryOnConflict<Result>(
  attempt: () => Promise<Result | undefined>,
  busy?: () => Error,
): Promise<Result> {
  for (let left = attempts; busy === undefined || left > 0; left--) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw busy!();
}
