import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest, ServerHttp2Stream } from "node:http2";

const methodsWithBody: ReadonlySet<string | undefined> = new Set(["POST", "PUT", "PATCH"]);

/**
 * A body of any other method has no meaning (RFC 9110 9.3), and proxies disagree on where such a request ends: ports refuse it.
 */
export function mayHaveBody(method: string | undefined): boolean {
  return methodsWithBody.has(method);
}

/**
 * Whether a request has a body. Over HTTP/2 this relies on the port, which delays a request by a method without a body until
 * the stream has ended.
 */
export function hasBody(request: IncomingMessage | Http2ServerRequest): boolean {
  return "stream" in request ? streamHasBody(request.stream, request.method) : announcesBody(request.headers);
}

/** Like {@link hasBody}, for an HTTP/2 stream. */
export function streamHasBody(stream: ServerHttp2Stream, method: string | undefined): boolean {
  return !stream.endAfterHeaders && mayHaveBody(method);
}

/** `Content-Length: 0` announces no body; chunked encoding does, even if no chunk has content. */
export function announcesBody({
  "content-length": length,
  "transfer-encoding": transfer,
}: IncomingHttpHeaders): boolean {
  return transfer !== undefined || (length !== undefined && Number(length) !== 0);
}
