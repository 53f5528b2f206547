/** The shortest time between two lines. */
const everyMs = 10_000;

/**
 * Logs an event at most once per ten seconds, so that a peer cannot flood the log. `write` gets the number of occurrences since
 * the last line, including this one.
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
