import type { NetworkError } from "@shop/http-port";

/** What a port counts. */
export interface PortMetrics {
  /** Counts a call that was answered here; `code` is the name of its code, as Connect writes it, or `ok`. */
  called(method: string, code: string, seconds: number): void;
  /** Counts a connection that was one too many of all, or of those from one address. */
  connectionRefused(limit: "total" | "address"): void;
  /** Counts a request that was refused, and an answer that was broken off, for want of room in memory. */
  bytesRefused(what: "request" | "answer"): void;
  /** Counts what broke on a connection, and what our own code threw while it handled one. */
  networkError(on: NetworkError["on"], kind: NetworkError["kind"]): void;
}
