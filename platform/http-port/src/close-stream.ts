import type { Http2Stream } from "node:http2";

/**
 * Resets an HTTP/2 stream in the next turn of the event loop. If a stream with unsent data is reset inside an event of its
 * session, Node may forget the stream while nghttp2 keeps requesting its data: the process then spins in native code and
 * exhausts memory (seen with Node 24.21; a test of the forwarder reproduces it).
 */
export function closeStream(stream: Http2Stream, code: number): void {
  setImmediate(() => {
    if (!stream.destroyed) stream.close(code);
  });
}
