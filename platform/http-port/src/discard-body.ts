import type * as http from "node:http";
import type * as http2 from "node:http2";
import { constants } from "node:http2";
import type { Readable } from "node:stream";
import { closeStream } from "./close-stream.ts";

/** Bytes of an unwanted body that are read before the sender is cut off. */
export const discardMaxBytes = 1_048_576;
const discardTimeoutMs = 5_000;

/**
 * Reads the rest of a body after the answer, up to 1 MiB or 5 seconds: a client that is still writing would otherwise not read
 * the answer. After that the stream, or the HTTP/1.1 connection, is closed.
 */
export function discardBody(
  request: Readable,
  response: http.ServerResponse | { readonly stream: http2.ServerHttp2Stream },
): void {
  if (request.readableEnded || request.destroyed) return;
  if ("complete" in request && request.complete) {
    request.resume();
    return;
  }
  let left = discardMaxBytes;
  const cutOff = () => {
    if ("stream" in response) closeStream(response.stream, constants.NGHTTP2_NO_ERROR);
    else request.destroy();
  };
  const deadline = setTimeout(cutOff, discardTimeoutMs);
  request.on("data", (chunk: Buffer) => {
    left -= chunk.byteLength;
    if (left < 0) cutOff();
  });
  request.on("error", () => {});
  request.once("close", () => clearTimeout(deadline));
  request.resume();
}
