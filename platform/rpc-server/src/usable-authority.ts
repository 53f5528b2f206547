import type { AnyRequest } from "@shop/http-port";

/**
 * Gives a request whose host makes no URL, or that names none, another one. Connect's handlers make a URL of each request: where that
 * is impossible they write a line to the console, whatever the log level and however often, and answer nothing.
 */
export function ensureUsableAuthority(request: AnyRequest): void {
  const { headers } = request;
  const isHttp2 = "stream" in request;
  const authority = isHttp2 ? (headers[":authority"] ?? headers.host) : headers.host;
  if (authority !== undefined && URL.canParse(`http://${String(authority)}/`)) return;
  headers[isHttp2 ? ":authority" : "host"] = "localhost";
}
