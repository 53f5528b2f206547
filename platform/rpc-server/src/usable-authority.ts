import type { AnyRequest } from "@shop/http-port";

/**
 * Replaces a missing authority, or one that is not valid in a URL, by `localhost`. Connect's handlers parse a URL for each
 * request: if that fails they write a line to the console, whatever the log level, and answer nothing.
 */
export function ensureUsableAuthority(request: AnyRequest): void {
  const { headers } = request;
  const isHttp2 = "stream" in request;
  const authority = isHttp2 ? (headers[":authority"] ?? headers.host) : headers.host;
  if (authority !== undefined && URL.canParse(`http://${String(authority)}/`)) return;
  headers[isHttp2 ? ":authority" : "host"] = "localhost";
}
