import type * as http from "node:http";

/** Hop-by-hop fields (RFC 9110 7.6.1). `trailer` only announces trailers, and Node refuses it where it cannot send any. */
export const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * The end-to-end fields of headers or trailers.
 *
 * @param without names of further fields to leave out
 */
export function endToEnd(
  headers: http.IncomingHttpHeaders,
  without?: (name: string) => boolean,
): http.OutgoingHttpHeaders {
  const { connection } = headers;
  const named =
    connection === undefined
      ? undefined
      : String(connection)
          .toLowerCase()
          .split(/[\s,]+/);
  const kept: http.OutgoingHttpHeaders = {};
  for (const name in headers) {
    if (name.startsWith(":") || hopByHop.has(name) || named?.includes(name) || without?.(name)) continue;
    kept[name] = headers[name];
  }
  return kept;
}
