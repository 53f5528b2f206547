import type { Readable } from "node:stream";

/** How much of an unwanted request body is read, and for how long. */
const maxBytes = 8 * 1_048_576;
const maxMs = 5_000;

/**
 * Reads and discards the rest of an unwanted body, up to 8 MiB or 5 seconds: a client that is cut off while it sends sees a
 * reset instead of the answer. Resolves when the body has ended, the client has gone, or a limit is reached; never rejects.
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
