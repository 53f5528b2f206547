import type * as http from "node:http";
import { type AnyRequest, endToEnd } from "@shop/http-port";
import type { Exchange } from "@shop/rpc-server";
import type { RequestHead } from "./upstream-call.ts";

/** `expect` was handled by this server; `host` and the body's length belong to each connection. */
const notForwarded = new Set(["content-length", "expect", "host"]);
const forwardedName = /^(forwarded$|x-forwarded-|x-real-ip$)/;

/**
 * The head of a forwarded request. It never contains the length of the body, which the connection determines from the bytes
 * that were read.
 */
export function requestHead(
  exchange: Exchange,
  rules: {
    /** Names of headers that are never forwarded. */
    readonly dropped: ReadonlySet<string>;
    readonly trustForwarded: boolean;
    /** Replace the caller's headers of the same names. */
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

/**
 * Sets the headers of a forwarded request on the request itself, for a new call made from it. Values sent by the client are
 * dropped.
 */
export function setForwardedHeaders({ headers, socket }: AnyRequest): void {
  for (const name in headers) if (forwardedName.test(name)) delete headers[name];
  addForwarded({ headers, peer: socket }, headers);
}

/** Extends existing forwarding headers. */
function addForwarded({ headers, peer }: Pick<Exchange, "headers" | "peer">, kept: http.OutgoingHttpHeaders): void {
  const address = peer.remoteAddress ?? "unknown";
  const host = headers.host ?? headers[":authority"];
  const before = kept["x-forwarded-for"];
  kept["x-forwarded-proto"] ??= "encrypted" in peer ? "https" : "http";
  if (host !== undefined) kept["x-forwarded-host"] ??= host;
  kept["x-forwarded-for"] = before === undefined ? address : `${before}, ${address}`;
}
