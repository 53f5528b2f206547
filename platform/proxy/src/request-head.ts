import type * as http from "node:http";
import { type AnyRequest, endToEnd } from "@shop/http-port";
import type { Exchange } from "@shop/rpc-server";
import type { RequestHead } from "./upstream-call.ts";

/** `expect` was met by the server that read it; `host` is the connection's, and so is the length of what is sent over it. */
const notForwarded = new Set(["content-length", "expect", "host"]);
const forwardedName = /^(forwarded$|x-forwarded-|x-real-ip$)/;

/** What an upstream is told ahead of the body: never how long that is, which the connection to it tells by what was read. */
export function requestHead(
  exchange: Exchange,
  rules: {
    /** Names of headers that never cross. */
    readonly dropped: ReadonlySet<string>;
    readonly trustForwarded: boolean;
    /** In place of what the caller said under these names. */
    readonly set: Readonly<Record<string, string>>;
  },
): RequestHead {
  const { headers } = exchange;
  const isDropped = (name: string) =>
    notForwarded.has(name) || rules.dropped.has(name) || (!rules.trustForwarded && forwardedName.test(name));
  const kept = endToEnd(headers, isDropped);
  if (headers.te !== undefined && /(^|,)\s*trailers\s*(;|,|$)/i.test(String(headers.te))) kept.te = "trailers";
  addForwarded(exchange, kept);
  Object.assign(kept, rules.set);
  if (exchange.httpVersion === 2) Object.assign(kept, { ":method": exchange.method, ":path": exchange.path });
  return {
    method: exchange.method,
    path: exchange.path,
    headers: kept,
    trailers: () => endToEnd(exchange.trailers, isDropped),
  };
}

/** Sets on the request itself what a forwarded one has: for a new call made of it. What the client sent under these names goes. */
export function tellForwarded({ headers, socket }: AnyRequest): void {
  for (const name in headers) if (forwardedName.test(name)) delete headers[name];
  addForwarded({ headers, peer: socket }, headers);
}

/** What is said of forwarding already is kept, and added to. */
function addForwarded({ headers, peer }: Pick<Exchange, "headers" | "peer">, kept: http.OutgoingHttpHeaders): void {
  const address = peer.remoteAddress ?? "unknown";
  const host = headers.host ?? headers[":authority"];
  const before = kept["x-forwarded-for"];
  kept["x-forwarded-proto"] ??= "encrypted" in peer ? "https" : "http";
  if (host !== undefined) kept["x-forwarded-host"] ??= host;
  kept["x-forwarded-for"] = before === undefined ? address : `${before}, ${address}`;
}
