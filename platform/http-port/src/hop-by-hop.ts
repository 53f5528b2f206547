import type * as http from "node:http";

/** RFC 9110 7.6.1. `trailer` only announces, and Node refuses it where it cannot send any. */
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
 * What of a head, or of trailers, is not about one connection only.
 *
 * @param without names of others that are left out
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
