import type { Message } from "@bufbuild/protobuf";
import { LRUCache } from "lru-cache";
import type { RestRoutes, RouteMatch } from "./route-trie.ts";

/** The result for a request line; `path` and `query` are still percent-encoded, the query without "?". */
export type RestTarget = {
  readonly path: string;
  readonly query: string;
  readonly match: RouteMatch;
  /** Whether the request line alone determines the request message, unless the request has an unexpected body. */
  readonly decides: boolean;
  /** That message, once it has been decoded. */
  message?: Message;
};

/** The memory for the results of recent request lines. */
const rememberedBytes = 4 * 1024 * 1024;
const bytesOf = (url: string) => 1_024 + 8 * url.length;

/** Resolves request lines. Results that determine the request message are cached. */
export function createTargets(routes: RestRoutes): (httpMethod: string, url: string) => RestTarget {
  const remembered = new LRUCache<string, RestTarget>({ maxSize: rememberedBytes });
  return (httpMethod, url) => {
    const known = httpMethod === "GET" ? remembered.get(url) : undefined;
    if (known !== undefined) return known;
    const { path, query } = split(url);
    const match = routes.match(httpMethod, path);
    const decides = httpMethod === "GET" && match.kind === "match" && match.route.body.kind === "none";
    const target = { path, query, match, decides };
    if (decides) remembered.set(url, target, { size: bytesOf(url) });
    return target;
  };
}

/** Splits a request target into raw path and raw query; an absolute target loses its origin. */
function split(url: string): { path: string; query: string } {
  const target = url.startsWith("/") ? url : url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, "") || "/";
  const mark = target.indexOf("?");
  return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
