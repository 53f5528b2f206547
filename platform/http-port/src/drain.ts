import type { Readable } from "node:stream";

/** How much of a request that nobody wants is taken in, and for how long. */
const maxBytes = 8 * 1_048_576;
const maxMs = 5_000;

/**
 * Reads on what nobody wanted, up to 8 MiB or for 5 seconds, and throws it away: a client that is cut off while it sends sees
 * a reset, not the answer. Resolves when it has sent all, has gone, or has to be cut off after all; never rejects.
 */
export function drain(request: Readable): Promise<void> {
  if (request.readableEnded || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let left = maxBytes;
    const deadline = setTimeout(stop, maxMs);
    function stop(): void {
      clearTimeout(deadline);
      request.pause();
      resolve();
    }
    request.on("data", (chunk: Uint8Array) => {
      left -= chunk.byteLength;
      if (left < 0) stop();
    });
    for (const event of ["end", "close", "error"]) request.once(event, stop);
    request.resume();
  });
}
