import {
  endHeaders,
  endStream,
  frame,
  headerBlock,
  literal,
  reset,
  settings,
  windowUpdate,
} from "@shop/http-port/testing/http2-frames";

// Frames after a request on stream 1: each kind of connection error and stream error of RFC 9113, each reset code, and
// unusual frames that are not errors.

const nothing = Buffer.alloc(0);
const trailers = headerBlock({ "x-trailer": "late" });

const resets = Object.fromEntries(
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xff, 0xffff_ffff].map((code) => [
    `RST_STREAM ${code}`,
    reset(1, code),
  ]),
);

const goaways = Object.fromEntries(
  [0, 1, 2, 11, 0xffff_ffff].map((code) => [`GOAWAY ${code}`, frame("goaway", 0, 0, bytes(0, code))]),
);

export const http2Faults: Readonly<Record<string, Buffer>> = {
  none: nothing,
  ...resets,
  ...goaways,
  "RST_STREAM on stream 0": reset(0, 8),
  "RST_STREAM on an idle stream": reset(99, 8),
  "RST_STREAM of a wrong length": frame("rstStream", 0, 1, Buffer.alloc(3)),
  "RST_STREAM twice": Buffer.concat([reset(1, 8), reset(1, 0)]),
  "DATA on stream 0": frame("data", 0, 0, Buffer.from("x")),
  "DATA on an idle stream": frame("data", 0, 99, Buffer.from("x")),
  "DATA after END_STREAM": frame("data", endStream, 1, Buffer.from("x")),
  "DATA beyond the window": Buffer.concat(Array.from({ length: 5 }, () => frame("data", 0, 1, Buffer.alloc(16_384)))),
  "DATA with more padding than payload": frame("data", 8, 1, Buffer.from([200, 1, 2])),
  "empty DATA frames": Buffer.concat(Array.from({ length: 20 }, () => frame("data", 0, 1))),
  "a frame that is too large": frame("data", 0, 1, Buffer.alloc(16_385)),
  "HEADERS on stream 0": frame("headers", endHeaders, 0, trailers),
  "HEADERS on an even stream": frame("headers", endHeaders | endStream, 2, trailers),
  "HEADERS again without an end": frame("headers", endHeaders, 1, trailers),
  "HEADERS without an end": frame("headers", 0, 1, trailers),
  trailers: frame("headers", endHeaders | endStream, 1, trailers),
  "trailers with a pseudo-header": frame("headers", endHeaders | endStream, 1, headerBlock({ ":path": "/x" })),
  "trailers with a field of one connection": frame(
    "headers",
    endHeaders | endStream,
    1,
    literal("connection", "close"),
  ),
  "trailers with an upper-case name": frame("headers", endHeaders | endStream, 1, literal("X-Trailer", "late")),
  "an index of HPACK that does not exist": frame("headers", endHeaders | endStream, 3, Buffer.from([0xff, 0xff, 0x07])),
  "a header block that is cut": frame("headers", endHeaders | endStream, 3, Buffer.from([0x00, 0x7f])),
  "a stream that depends on itself": frame("priority", 0, 1, bytes(1).subarray(0, 4)),
  "PRIORITY of a wrong length": frame("priority", 0, 1, Buffer.alloc(4)),
  "CONTINUATION that continues nothing": frame("continuation", endHeaders, 1, trailers),
  "HEADERS, then another frame in their middle": Buffer.concat([frame("headers", 0, 3, trailers), frame("ping", 0, 0)]),
  PUSH_PROMISE: frame("pushPromise", endHeaders, 1, Buffer.concat([bytes(2), trailers])),
  "PING of a wrong length": frame("ping", 0, 0, Buffer.alloc(7)),
  "PING on a stream": frame("ping", 0, 1, Buffer.alloc(8)),
  "SETTINGS of a wrong length": frame("settings", 0, 0, Buffer.alloc(5)),
  "SETTINGS on a stream": frame("settings", 0, 1),
  "a SETTINGS acknowledgement with a payload": frame("settings", 1, 0, Buffer.alloc(6)),
  "acknowledgements without a cause": Buffer.concat(Array.from({ length: 20 }, () => frame("settings", 1, 0))),
  "SETTINGS with a window that is too large": settings([4, 0x8000_0000]),
  "SETTINGS with frames that are too small": settings([5, 1]),
  "SETTINGS without a header table": settings([1, 0]),
  "SETTINGS without a window": settings([4, 0]),
  "unknown SETTINGS": settings([0xfff0, 1], [0xfff1, 2]),
  "WINDOW_UPDATE 0 of the stream": windowUpdate(1, 0),
  "WINDOW_UPDATE 0 of the connection": windowUpdate(0, 0),
  "a window of the stream that overflows": windowUpdate(1, 0x7fff_ffff),
  "a window of the connection that overflows": windowUpdate(0, 0x7fff_ffff),
  "WINDOW_UPDATE of a wrong length": frame("windowUpdate", 0, 1, Buffer.alloc(3)),
  "HTTP/1.1": Buffer.from("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"),
  "the preface again": Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
};

/** Bytes after a request over HTTP/1.1. */
export const http1Faults: Readonly<Record<string, Buffer>> = {
  none: nothing,
  garbage: Buffer.from("\0\x01\xff no HTTP\r\n\r\n", "latin1"),
  "a request that is cut": Buffer.from("GET /healthz HTT"),
  "another request": Buffer.from("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"),
  "many requests": Buffer.from("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20)),
  "a request without a host": Buffer.from("GET /healthz HTTP/1.1\r\n\r\n"),
  "a chunk of no size": Buffer.from("zz\r\nx\r\n"),
  "a chunk that is too large": Buffer.from("ffffffffffffffff\r\n"),
  "invalid trailers": Buffer.from("0\r\n: no name\r\n\r\n"),
  "an upgrade": Buffer.from(
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
  ),
  "an upgrade to a WebSocket": Buffer.from(
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
  ),
  CONNECT: Buffer.from("CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n"),
  "HTTP/2": Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings()]),
  "headers that are too large": Buffer.from(`GET / HTTP/1.1\r\nhost: a\r\nx: ${"x".repeat(20_000)}\r\n\r\n`),
  "two lengths": Buffer.from("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx"),
  "a length and chunks": Buffer.from(
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nx",
  ),
};

function bytes(...values: readonly number[]): Buffer {
  const all = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) all.writeUInt32BE(value, 4 * index);
  return all;
}
