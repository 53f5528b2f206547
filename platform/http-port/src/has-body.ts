import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest, ServerHttp2Stream } from "node:http2";

const methodsWithBody: ReadonlySet<string | undefined> = new Set(["POST", "PUT", "PATCH"]);

/** In any other method a body means nothing (RFC 9110 9.3), and proxies differ in where such a request ends: ports refuse it. */
export function mayHaveBody(method: string | undefined): boolean {
  return methodsWithBody.has(method);
}

/**
 * Whether a request has a body. Over HTTP/2 by what a port lets through: it has waited for the end of a request by a method
 * without a body.
 */
export function hasBody(request: IncomingMessage | Http2ServerRequest): boolean {
  return "stream" in request ? streamHasBody(request.stream, request.method) : announcesBody(request.headers);
}

/** As {@link hasBody}, of a stream of HTTP/2. */
export function streamHasBody(stream: ServerHttp2Stream, method: string | undefined): boolean {
  return !stream.endAfterHeaders && mayHaveBody(method);
}

/** `Content-Length: 0` announces no body; chunks do, also if none has content. */
export function announcesBody({
  "content-length": length,
  "transfer-encoding": transfer,
}: IncomingHttpHeaders): boolean {
  return transfer !== undefined || (length !== undefined && Number(length) !== 0);
}
