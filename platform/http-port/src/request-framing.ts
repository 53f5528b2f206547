import type { IncomingHttpHeaders, RequestListener } from "node:http";
import * as http2 from "node:http2";
import { announcesBody, mayHaveBody } from "./has-body.ts";
import { hopByHop } from "./hop-by-hop.ts";
import type { Refusals } from "./refusals.ts";

/**
 * What `Connection` may name: fields that end at this connection whether they are named or not. Any other name would have a proxy
 * take a field out of the request that the next server reads: its framing, its host, its credentials.
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

/** Why it is not certain, to every server that may read it, where this request ends and for whom it is; undefined if it is. */
function faultOf({ method, httpVersion, headers }: Head): string | undefined {
  const { connection, "transfer-encoding": transfer } = headers;
  if (connection !== undefined && !namesOptionsOnly(connection)) {
    return "Connection may not name fields that are for the service";
  }
  if (method === "CONNECT") return "this is no proxy to other hosts";
  if (!mayHaveBody(method) && announcesBody(headers)) return noBodyIn(method);
  if (httpVersion === "2.0") {
    const authority = headers[":authority"] as string | undefined;
    const disagrees = headers.host !== undefined && authority !== undefined && headers.host !== authority;
    return disagrees ? ":authority and host have to be the same" : undefined;
  }
  if (transfer === undefined) return undefined;
  if (httpVersion !== "1.1") return "HTTP/1.0 has no Transfer-Encoding";
  return transfer.toLowerCase() === "chunked" ? undefined : "the only Transfer-Encoding that is understood is chunked";
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
 * Lets no request of HTTP/1.1 through whose end another server might see elsewhere (RFC 9112 11.2). Of a connection with such
 * a request nothing more is taken for one: it is closed with the answer.
 */
export function requireFraming(handler: RequestListener, refuse: Refusals["refuse"]): RequestListener {
  const closing = new WeakSet<object>();
  return (request, response) => {
    if (closing.has(request.socket)) return;
    // "GET / HTTP/2.0" parses, too.
    const fault = request.httpVersionMajor === 1 ? faultOf(request) : "this version is not spoken like that";
    if (fault === undefined) {
      if (request.headers.upgrade !== undefined) {
        // Node throws away what came after it in the same packet: the rest of another request might then pass for one.
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
 * The same for streams of HTTP/2, where frames tell the end, and connection-specific fields are reset as a protocol error by
 * nghttp2 (RFC 9113 8.2.2). A request by a method without a body goes on once it has ended: an empty DATA frame is no body.
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
        // There is nothing to be read but the end.
        stream.resume();
      });
    }
  };
}

/** Tells once, as soon as it is known, whether a stream ended without a byte; a stream that breaks before tells nothing. */
function whenWithoutBody(stream: http2.ServerHttp2Stream, tell: (isEmpty: boolean) => void): void {
  const settle = () => {
    if (stream.closed || stream.destroyed) return;
    stream.off("readable", settle).off("error", ignore);
    tell(stream.readableLength === 0);
  };
  // An empty frame that does not end the stream wakes nobody.
  stream.on("readable", settle).on("error", ignore);
}

function ignore(): void {}
