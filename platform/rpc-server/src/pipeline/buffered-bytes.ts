import type { IncomingHttpHeaders } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError, FairShares } from "@shop/core";
import {
  clientAddressHeader,
  type HeldBytes,
  type HoldBytes,
  networksPerSite,
  peerOf,
  sharersOf,
  type TrustsProxy,
} from "@shop/http-port";
import type { PortMetrics } from "../port-metrics.ts";
import { toConnectError } from "./errors.ts";

/**
 * Overhead of a chunk, rounded up: 200,000 copies of 16 bytes took 719 bytes each of resident memory in Node 24.21, 210 of them
 * on the heap.
 */
const chunkOverheadBytes = 768;
/** A connection may always buffer one body of the usual largest size. */
const leastPerConnection = 2 * 1_048_576;

/** The owner of buffered bytes. */
export interface BytesOwner {
  /** Include the client address header that the port has set. */
  readonly headers: IncomingHttpHeaders;
  /** The connection's identity; undefined if one connection carries calls of many clients. Called once, when needed. */
  connection(): object | undefined;
  /** The proto package for the refusal's ErrorInfo; without one the refusal has no reason. */
  readonly domain: string | undefined;
  /** Upper bound of what is counted: of a stream of messages at most one is buffered at a time. */
  readonly maxBytes?: number;
  /** Called when the budget is exceeded: a request was refused, or an answer aborted. */
  readonly onRefused?: (what: "request" | "answer") => void;
}

/**
 * The budget of a process for bytes buffered in memory: request bodies that have not ended, and answers that the client has not
 * read. A connection may use an eighth of it, a network a quarter, and a site as much as {@link networksPerSite} networks.
 */
export class BufferedBytes {
  readonly #shares: FairShares;

  /** @param totalBytes 0 for no limit */
  constructor(totalBytes: number) {
    const network = totalBytes / 4;
    const connection = totalBytes === 0 ? 0 : Math.max(totalBytes / 8, leastPerConnection);
    this.#shares = new FairShares(totalBytes, [connection, network, network * networksPerSite]);
  }

  get used(): number {
    return this.#shares.used;
  }

  /** A new holder, with nothing counted yet; it need not be released until something is. */
  of(owner: BytesOwner): HeldBytes {
    return new Held(this.#shares, owner);
  }
}

class Held implements HeldBytes {
  readonly #shares: FairShares;
  readonly #owner: BytesOwner;
  #holders: readonly unknown[] | undefined;
  #bytes = 0;

  constructor(shares: FairShares, owner: BytesOwner) {
    this.#shares = shares;
    this.#owner = owner;
  }

  keep(chunk: Buffer): Buffer | undefined {
    const most = this.#owner.maxBytes ?? Number.POSITIVE_INFINITY;
    if (!this.resize(Math.min(this.#bytes + chunk.byteLength + chunkOverheadBytes, most))) return undefined;
    // An HTTP/2 chunk is a view of the whole socket read, and would keep all of it in memory.
    const isSmallPart = chunk.byteLength + chunkOverheadBytes < chunk.buffer.byteLength / 2;
    return isSmallPart ? Buffer.from(new Uint8Array(chunk).buffer) : chunk;
  }

  resize(bytes: number): boolean {
    this.#holders ??= [
      this.#owner.connection(),
      ...sharersOf(String(this.#owner.headers[clientAddressHeader] ?? "unknown")),
    ];
    const more = bytes - this.#bytes;
    if (more > 0 && !this.#shares.take(this.#holders, more)) return false;
    if (more < 0) this.#shares.release(this.#holders, -more);
    this.#bytes = bytes;
    return true;
  }

  release(): void {
    if (this.#bytes > 0) this.resize(0);
  }

  breakOff(): void {
    this.release();
    this.#owner.onRefused?.("answer");
  }

  refusal(): ConnectError {
    this.#owner.onRefused?.("request");
    const { domain } = this.#owner;
    const message = "too many bytes of unfinished requests wait here, try again in a moment";
    if (domain === undefined) return new ConnectError(message, Code.ResourceExhausted);
    return toConnectError(
      new DomainError("resource_exhausted", "BUFFERS_FULL", message, { retryAfterMs: 1_000 }),
      domain,
    );
  }
}

/**
 * Creates the byte accounting of a port. On a public port each connection has its own share, except a trusted proxy's, which
 * carries calls of many clients.
 */
export function createHoldBytes({
  bufferedBytes,
  isPublic,
  trustsProxy,
  metrics,
}: {
  readonly bufferedBytes: BufferedBytes;
  readonly isPublic: boolean;
  readonly trustsProxy: TrustsProxy;
  readonly metrics: PortMetrics | undefined;
}): HoldBytes {
  const onRefused = (what: "request" | "answer") => metrics?.bytesRefused(what);
  return (headers, connection, domain, maxBytes = Number.POSITIVE_INFINITY) =>
    bufferedBytes.of({
      headers,
      domain,
      maxBytes,
      onRefused,
      connection() {
        if (!isPublic || connection === undefined || connection.destroyed) return undefined;
        const socket = "socket" in connection ? connection.socket : connection;
        return trustsProxy(peerOf(socket), 0) ? undefined : connection;
      },
    });
}
