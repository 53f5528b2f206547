/** npm passes on a signal that the terminal had sent to all of its process group: the second copy is no second wish. */
const sameWishMs = 1_000;

/**
 * Calls `stop` at the first SIGINT, SIGTERM or SIGHUP (the terminal was closed), and `kill` at one that comes more than a
 * second later: somebody does not want to wait.
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
