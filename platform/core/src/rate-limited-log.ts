/** While the same thing happens again and again, one line so often says so. */
const everyMs = 10_000;

/**
 * Writes what happens at most once in ten seconds, so that a peer cannot fill the log. `write` learns how often it happened since
 * the last line, this time included.
 */
export function rateLimitedLog<Event>(write: (event: Event, times: number) => void): (event: Event) => void {
  let times = 0;
  let writtenAt = Number.NEGATIVE_INFINITY;
  return (event) => {
    times++;
    const now = performance.now();
    if (now - writtenAt < everyMs) return;
    write(event, times);
    times = 0;
    writtenAt = now;
  };
}
