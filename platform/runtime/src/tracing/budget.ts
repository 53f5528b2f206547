const minuteMs = 60_000;

/** Grants at most `perMinute` requests in each minute. */
export function createBudget(perMinute: number): () => boolean {
  let left = perMinute;
  let endsAt = 0;
  return () => {
    const now = performance.now();
    if (now >= endsAt) {
      endsAt = now + minuteMs;
      left = perMinute;
    }
    return left > 0 && left-- > 0;
  };
}
