const unreserved = "\\w\\-.~";
const pathCharacters = `${unreserved}!$&'()*+,;=:@`;
/**
 * A path without dot segments, then a query of any visible ASCII, since browsers escape less there than RFC 3986 demands. No
 * fragment.
 */
const pathAndQuery = (characters: string) =>
  new RegExp(`^(?:/(?!\\.\\.?(?:[/?]|$))[${characters}]*)+(?:\\?[!"$-~]*)?$`);

const withoutEscapes = pathAndQuery(pathCharacters);
const withEscapes = pathAndQuery(`${pathCharacters}%`);
/** Escapes that are decoded: unreserved characters (RFC 3986 2.3), and the colon before a custom verb of google.api.http. */
const decoded = new RegExp(`[${unreserved}:]`);
/** Slash and backslash: some servers decode them before splitting a path. */
const forbidden = /%(?:2F|5C)/;
const origin = /^(https?):\/\/([^/?#@]+)/i;

/**
 * Normalizes a request target into the form that routing, authorization, admission and upstreams see: an absolute URI is
 * reduced to path and query (RFC 9112 3.2.2); in the path, escapes of unreserved characters and of ":" are decoded, and other
 * escapes get capital digits (RFC 3986 6.2.2). The query is unchanged. Idempotent, as "%25" is never decoded.
 *
 * @param target as it stands in the request line or in `:path`
 * @param host as given elsewhere in the request; an absolute URI with another host is refused, since a proxy may have trusted
 * either
 * @returns undefined if the target must be refused: dot segments, escaped slashes and backslashes, escapes that are malformed
 * or not UTF-8, fragments, anything but visible ASCII, and the forms `*` and `host:port`
 */
export function normalizeTarget(target: string, host: string | undefined): string | undefined {
  if (withoutEscapes.test(target)) return target;
  const relative = target.startsWith("/") ? target : withoutOrigin(target, host);
  if (relative === undefined) return undefined;
  const end = relative.indexOf("?");
  const path = normalizePath(end < 0 ? relative : relative.slice(0, end));
  if (path === undefined) return undefined;
  const normalized = end < 0 ? path : path + relative.slice(end);
  return withEscapes.test(normalized) ? normalized : undefined;
}

function withoutOrigin(target: string, host: string | undefined): string | undefined {
  const [whole, scheme, authority] = origin.exec(target) ?? [];
  if (whole === undefined) return undefined;
  const named = (name: string) => name.toLowerCase().replace(scheme!.length === 4 ? /:80$/ : /:443$/, "");
  if (host !== undefined && named(authority!) !== named(host)) return undefined;
  const rest = target.slice(whole.length);
  return rest === "" || rest.startsWith("?") ? `/${rest}` : rest;
}

function normalizePath(path: string): string | undefined {
  try {
    decodeURIComponent(path);
  } catch {
    return undefined;
  }
  const normalized = path.replace(/%../g, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return decoded.test(character) ? character : escaped.toUpperCase();
  });
  return forbidden.test(normalized) ? undefined : normalized;
}
