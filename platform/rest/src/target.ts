import type { Message } from "@bufbuild/protobuf";
import { LRUCache } from "lru-cache";
import type { RestRoutes, RouteMatch } from "./route-trie.ts";

/** What the first line of a request leads to; `path` and `query` are still percent-encoded, the query without "?". */
export type RestTarget = {
  readonly path: string;
  readonly query: string;
  readonly match: RouteMatch;
  /** Whether nothing else decides about the request message, unless a body comes where none belongs. */
  readonly decides: boolean;
  /** That message, once it was made. */
  message?: Message;
};

/** Of the lines that are asked for again and again, so much is remembered of those that were asked for last. */
const rememberedBytes = 4 * 1024 * 1024;
const bytesOf = (url: string) => 1_024 + 8 * url.length;

/** Finds what first lines lead to. What decides by itself about its request is remembered. */
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

/** Splits the target of a request into raw path and raw query; an absolute target loses its origin. */
function split(url: string): { path: string; query: string } {
  const target = url.startsWith("/") ? url : url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, "") || "/";
  const mark = target.indexOf("?");
  return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
