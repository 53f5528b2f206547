const attempts = 5;

/**
 * Repeats a compare-and-set until it succeeds. `attempt` reads, decides and writes; it returns undefined if another write came
 * first, and is then called again at once, to decide on the current state. With `busy` it is called at most five times, then
 * the error of `busy` is thrown; without it, it retries without limit: only for conflicts in which another writer always succeeded.
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
