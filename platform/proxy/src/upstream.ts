import { createListenerGuard, type ListenerGuard } from "@shop/http-port";
import { Http1Connections } from "./http1-connections.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import { MuxLinks } from "./mux-links.ts";
import { OutlierDetection } from "./outlier-detection.ts";

/** Settings of the connections to an upstream. All times are in milliseconds. */
export interface UpstreamOptions {
  /** The time after which a connection attempt counts as refused. */
  readonly connectTimeoutMs?: number;
  /** The time for which a replica that refused a connection is tried last. */
  readonly avoidMs?: number;
  /** The time for which a replica is tried last that announced to close its port: then it has probably been replaced. */
  readonly leavingMs?: number;
  /**
   * HTTP/1.1: the time after which an idle connection is not used again: less than a replica still serves once it has announced to
   * close (DRAIN_SECONDS). From then on each of its answers closes the connection, so that in the end it closes none on which a
   * request may be under way.
   */
  readonly idleMs?: number;
  /** HTTP/1.1: the time without traffic after which a connection whose answer has not begun is closed. */
  readonly answerTimeoutMs?: number;
  /** HTTP/2: how often a connection with open streams gets a PING; one without streams for that time is closed. */
  readonly pingIntervalMs?: number;
  /** HTTP/2: the time after which an unanswered PING means that the replica is gone. */
  readonly pingTimeoutMs?: number;
  /** Guards connections, requests and streams to the replicas. */
  readonly guard?: ListenerGuard;
  /** HTTP/2: connections per replica; more than one only if the replica's maxConcurrentStreams is reached. */
  readonly maxSessions?: number;
}

const defaults: Required<UpstreamOptions> = {
  connectTimeoutMs: 2_000,
  avoidMs: 1_000,
  leavingMs: 5_000,
  idleMs: 1_000,
  answerTimeoutMs: 15_000,
  pingIntervalMs: 20_000,
  pingTimeoutMs: 10_000,
  guard: createListenerGuard(() => {}),
  maxSessions: 64,
};

/** A service at one or more base URLs. */
export class Upstream {
  readonly #replicas: readonly Replica[];
  #next = 0;

  /** @param urls `http://host:port`, one per replica; throws on any other form */
  constructor(urls: readonly string[], options: UpstreamOptions = {}) {
    if (urls.length === 0) throw new Error("an upstream needs at least one URL");
    this.#replicas = urls.map((url) => new Replica(url, { ...defaults, ...options }));
  }

  /** All replicas in round-robin order, except that avoided ones come last: first those that are avoided for the shortest time. */
  inTurn(): readonly Replica[] {
    if (this.#replicas.length === 1) return this.#replicas;
    const first = this.#next++ % this.#replicas.length;
    const turn = [...this.#replicas.slice(first), ...this.#replicas.slice(0, first)];
    return turn.sort((a, b) => a.avoidedUntil - b.avoidedUntil);
  }

  /** Closes all connections at once; calls in progress break. */
  close(): void {
    for (const replica of this.#replicas) replica.close();
  }
}

/** One process of an upstream, with its multiplexed connections, HTTP/1.1 connections and HTTP/2 sessions. */
export class Replica {
  /** `host:port` */
  readonly authority: string;
  readonly mux: MuxLinks;
  readonly http1: Http1Connections;
  readonly http2: Http2Sessions;
  readonly guard: ListenerGuard;
  readonly detection = new OutlierDetection();
  readonly #avoidMs: number;
  readonly #leavingMs: number;
  #avoidUntil = 0;

  constructor(url: string, options: Required<UpstreamOptions>) {
    const { protocol, host, origin, pathname } = new URL(url);
    if (protocol !== "http:" || pathname !== "/") throw new Error(`not of the form http://host:port: ${url}`);
    this.authority = host;
    this.mux = new MuxLinks(origin, { ...options, onLeaving: () => this.leaving() });
    this.http1 = new Http1Connections(origin, options);
    this.http2 = new Http2Sessions(origin, { ...options, onLeaving: () => this.leaving() });
    this.guard = options.guard;
    this.#avoidMs = options.avoidMs;
    this.#leavingMs = options.leavingMs;
  }

  /** When it will no longer be avoided, as performance.now(); 0 if it is not. */
  get avoidedUntil(): number {
    if (this.detection.isOutlier) return Number.MAX_VALUE;
    return performance.now() < this.#avoidUntil ? this.#avoidUntil : 0;
  }

  /** Marks the replica after a refused connection. */
  avoid(): void {
    this.#avoidUntil = performance.now() + this.#avoidMs;
  }

  /** Marks the replica once it has announced to close its port. */
  leaving(): void {
    this.#avoidUntil = performance.now() + this.#leavingMs;
  }

  close(): void {
    this.mux.close();
    this.http1.close();
    this.http2.close();
  }
}
