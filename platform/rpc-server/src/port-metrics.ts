import type { NetworkError } from "@shop/http-port";

/** The metrics of a port. */
export interface PortMetrics {
  /** Counts an answered call; `code` is Connect's name of its code, or `ok`. */
  called(method: string, code: string, seconds: number): void;
  /** Counts a connection refused because of the limit of all connections, or of those from one address. */
  connectionRefused(limit: "total" | "address"): void;
  /** Counts a request refused, or an answer aborted, because the buffer budget was used up. */
  bytesRefused(what: "request" | "answer"): void;
  /** Counts an error of a connection, or an exception in our code while handling one. */
  networkError(on: NetworkError["on"], kind: NetworkError["kind"]): void;
}
