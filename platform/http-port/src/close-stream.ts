import type { Http2Stream } from "node:http2";

/**
 * Resets an HTTP/2 stream in the next turn of the event loop. Reset from inside an event of its session, a stream that
 * has unsent data can be forgotten by Node while nghttp2 goes on asking it for data: the process then spins in native
 * code for ever and eats all memory (seen with Node 24.21; a test of the forwarder shows it).
 */
export function closeStream(stream: Http2Stream, code: number): void {
  setImmediate(() => {
    if (!stream.destroyed) stream.close(code);
  });
}
