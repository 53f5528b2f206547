import type { IncomingHttpHeaders, RequestListener } from "node:http";
import * as http2 from "node:http2";
import { announcesBody, mayHaveBody } from "./has-body.ts";
import { hopByHop } from "./hop-by-hop.ts";
import type { Refusals } from "./refusals.ts";

/**
 * Names allowed in `Connection`: hop-by-hop fields, named or not. Any other name would make a proxy remove a field that the
 * next server relies on: its framing, host or credentials.
 */
const connectionOptions: ReadonlySet<string> = new Set([
  "close",
  ...[...hopByHop].filter((name) => name !== "connection" && name !== "transfer-encoding"),
]);

interface Head {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
}

/** Why servers may disagree on where this request ends or whom it is for; undefined if they cannot. */
function faultOf({ method, httpVersion, headers }: Head): string | undefined {
  const { connection, "transfer-encoding": transfer } = headers;
  if (connection !== undefined && !namesOptionsOnly(connection)) {
    return "Connection must not name end-to-end fields";
  }
  if (method === "CONNECT") return "this server does not proxy to other hosts";
  if (!mayHaveBody(method) && announcesBody(headers)) return noBodyIn(method);
  if (httpVersion === "2.0") {
    const authority = headers[":authority"] as string | undefined;
    const disagrees = headers.host !== undefined && authority !== undefined && headers.host !== authority;
    return disagrees ? ":authority and host must be the same" : undefined;
  }
  if (transfer === undefined) return undefined;
  if (httpVersion !== "1.1") return "HTTP/1.0 has no Transfer-Encoding";
  return transfer.toLowerCase() === "chunked" ? undefined : "the only supported Transfer-Encoding is chunked";
}

function namesOptionsOnly(connection: string): boolean {
  if (connection === "keep-alive" || connection === "close") return true;
  return connection
    .toLowerCase()
    .split(",")
    .every((option) => {
      const name = option.replace(/^[ \t]+|[ \t]+$/g, "");
      return name === "" || connectionOptions.has(name);
    });
}

function noBodyIn(method: string | undefined): string {
  return `${method} has no body`;
}

/**
 * Refuses HTTP/1.1 requests that another server could frame differently (RFC 9112 11.2: request smuggling). After such a
 * request nothing more is read from the connection, which is closed with the answer.
 */
export function requireFraming(handler: RequestListener, refuse: Refusals["refuse"]): RequestListener {
  const closing = new WeakSet<object>();
  return (request, response) => {
    if (closing.has(request.socket)) return;
    // Node's parser accepts "GET / HTTP/2.0".
    const fault = request.httpVersionMajor === 1 ? faultOf(request) : "this HTTP version has no request line";
    if (fault === undefined) {
      if (request.headers.upgrade !== undefined) {
        // Node drops the bytes after it in the same packet, so the rest of another request might be parsed as one.
        closing.add(request.socket);
        response.setHeader("connection", "close");
      }
      handler(request, response);
      return;
    }
    closing.add(request.socket);
    refuse(request, response, fault, { connection: "close" });
  };
}

type StreamListener = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/**
 * The same for HTTP/2 streams, where frames delimit a request, and nghttp2 resets a stream with connection-specific fields as a
 * protocol error (RFC 9113 8.2.2). A request by a method without a body is passed on once the stream has ended, since an empty
 * DATA frame is not a body.
 */
export function requireStreamFraming(listener: StreamListener, refuse: Refusals["refuse"]): StreamListener {
  const refuseStream = (stream: http2.ServerHttp2Stream, headers: IncomingHttpHeaders, fault: string) => {
    stream.on("error", ignore);
    refuse(new http2.Http2ServerRequest(stream, headers, {}, []), new http2.Http2ServerResponse(stream), fault, {});
  };
  return (stream, headers, ...rest) => {
    const method = headers[":method"];
    const fault = faultOf({ method, httpVersion: "2.0", headers });
    if (fault !== undefined) refuseStream(stream, headers, fault);
    else if (stream.endAfterHeaders || mayHaveBody(method)) listener(stream, headers, ...rest);
    else {
      whenWithoutBody(stream, (isEmpty) => {
        if (!isEmpty) return refuseStream(stream, headers, noBodyIn(method));
        listener(stream, headers, ...rest);
        // Only the end is left to read.
        stream.resume();
      });
    }
  };
}

/** Calls `decided` once it is known whether a stream ended without a byte. If the stream breaks first, it is never called. */
function whenWithoutBody(stream: http2.ServerHttp2Stream, decided: (isEmpty: boolean) => void): void {
  const settle = () => {
    if (stream.closed || stream.destroyed) return;
    stream.off("readable", settle).off("error", ignore);
    decided(stream.readableLength === 0);
  };
  // An empty frame that does not end the stream emits no 'readable'.
  stream.on("readable", settle).on("error", ignore);
}

function ignore(): void {}
