/**
 * npm forwards a signal that the terminal already sent to the whole process group: the duplicate within this time does not
 * count.
 */
const sameWishMs = 1_000;

/**
 * Calls `stop` at the first SIGINT, SIGTERM or SIGHUP (the terminal was closed), and `kill` at one that arrives more than a
 * second later.
 */
export function onStopSignals(stop: () => void, kill: () => void): void {
  let firstAt: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (firstAt === undefined) {
        firstAt = Date.now();
        stop();
      } else if (Date.now() - firstAt > sameWishMs) kill();
    });
  }
}
