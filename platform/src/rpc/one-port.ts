import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyServerFactory } from "fastify";

/** What a connection on the port may do, and for how long. All times are in milliseconds. */
export interface OnePortOptions {
  /** A connection that has not shown which HTTP version it speaks by then is closed. */
  readonly sniffTimeoutMs?: number;
  /** HTTP/2: streams that one client may hold open at the same time. */
  readonly maxConcurrentStreams?: number;
  /** HTTP/2: a connection without streams and without a frame for so long is closed; one with streams is asked by PING. */
  readonly sessionIdleTimeoutMs?: number;
  /** HTTP/2: a stream over which nothing moves for so long, in either direction, is reset. */
  readonly streamIdleTimeoutMs?: number;
  /** HTTP/2: a PING that stays unanswered for so long means the peer is gone. */
  readonly pingTimeoutMs?: number;
  /** Bytes of header that a request may have, in both versions. */
  readonly maxHeaderBytes?: number;
  /**
   * HTTP/2: streams that one client may reset at once, and per second after that, before its connection is closed
   * (rapid reset, CVE-2023-44487). A port behind a forwarder gets the resets of every client on few connections:
   * give it more.
   */
  readonly streamResets?: { readonly burst: number; readonly perSecond: number };
  /** After `close()`, requests still running have so long to finish; then their connections are destroyed. */
  readonly closeGraceMs?: number;
  /** Passed to `http.createServer`: `requestTimeout`, `headersTimeout`, `keepAliveTimeout` keep Node's defaults. */
  readonly http1?: http.ServerOptions;
}

const defaults = {
  sniffTimeoutMs: 10_000,
  maxConcurrentStreams: 100,
  sessionIdleTimeoutMs: 120_000,
  streamIdleTimeoutMs: 300_000,
  pingTimeoutMs: 10_000,
  maxHeaderBytes: 16_384,
  streamResets: { burst: 1_000, perSecond: 100 },
  closeGraceMs: 10_000,
};

/**
 * A Fastify `serverFactory` whose one port answers HTTP/1.1 and HTTP/2 without TLS (prior knowledge, RFC 9113 3.3) with
 * the same handler. To Fastify it is an `http.Server`; behind `request.raw` and `reply.raw` of an HTTP/2 request are
 * Node's compatibility objects.
 */
export function onePortServerFactory(options: OnePortOptions = {}): FastifyServerFactory<http.Server> {
  return (handler) => new OnePortServer(options, handler);
}

type SocketListener = (this: http.Server, socket: Socket) => void;

/**
 * A real `http.Server` of which only the 'connection' event is wrapped, so that its timeouts, its list of idle
 * connections and its 'clientError' event go on working. `close()` lets running requests of both versions finish and
 * takes milliseconds when there are none.
 */
export class OnePortServer extends http.Server {
  readonly #options: Required<Omit<OnePortOptions, "http1">>;
  readonly #http1: SocketListener;
  readonly #http2: http2.Http2Server;
  readonly #sniffing = new Set<Socket>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #http2Sockets = new Set<Socket>();
  #closing = false;

  constructor(options: OnePortOptions, handler: http.RequestListener) {
    const { http1, ...given } = options;
    const settled = { ...defaults, ...given };
    super({ maxHeaderSize: settled.maxHeaderBytes, ...http1 }, handler);
    this.#options = settled;
    this.#http1 = this.listeners("connection")[0] as SocketListener;
    this.#http2 = this.#createHttp2(handler);
    this.removeAllListeners("connection");
    this.on("connection", (socket: Socket) => this.#accept(socket));
  }

  override close(callback?: (error?: Error) => void): this {
    super.close(callback);
    if (!this.#closing) this.#drain();
    return this;
  }

  override closeAllConnections(): void {
    super.closeAllConnections();
    for (const socket of this.#sniffing) socket.destroy();
    // Not the sessions: one that was closed waits for its peer to close the socket, and destroying it again does nothing.
    for (const socket of this.#http2Sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sniffing.add(socket);
    sniff(socket, this.#options.sniffTimeoutMs, (version) => {
      this.#sniffing.delete(socket);
      if (version === "http1") this.#http1.call(this, socket);
      if (version === "http2") this.#acceptHttp2(socket);
    });
  }

  #acceptHttp2(socket: Socket): void {
    // HTTP/1.1 needs half-open sockets; an HTTP/2 session would not notice that its client has left.
    socket.allowHalfOpen = false;
    this.#http2Sockets.add(socket);
    socket.once("close", () => this.#http2Sockets.delete(socket));
    this.#http2.emit("connection", socket);
  }

  #createHttp2(handler: http.RequestListener): http2.Http2Server {
    const { maxConcurrentStreams, maxHeaderBytes, streamResets } = this.#options;
    const server = http2.createServer(
      {
        settings: { maxConcurrentStreams, maxHeaderListSize: maxHeaderBytes, enablePush: false },
        streamResetBurst: streamResets.burst,
        streamResetRate: streamResets.perSecond,
      },
      // Node's compatibility objects are made to be used as those of HTTP/1.1.
      handler as unknown as (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
    );
    server.on("session", (session) => this.#watch(session));
    return server;
  }

  /** Node's HTTP/2 has no time limit of its own. */
  #watch(session: http2.ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    let streams = 0;
    session.on("stream", (stream) => {
      streams += 1;
      stream.once("close", () => {
        streams -= 1;
      });
      stream.setTimeout(this.#options.streamIdleTimeoutMs, () => stream.close(http2.constants.NGHTTP2_CANCEL));
    });
    session.setTimeout(this.#options.sessionIdleTimeoutMs);
    session.on("timeout", () => {
      if (streams === 0) session.destroy();
      else this.#askWhetherAlive(session);
    });
    if (this.#closing) session.close();
  }

  #askWhetherAlive(session: http2.ServerHttp2Session): void {
    const verdict = setTimeout(() => session.destroy(), this.#options.pingTimeoutMs);
    session.ping(() => {
      clearTimeout(verdict);
      // The timer does not start again by itself, and a PING is no activity to it.
      if (!session.destroyed) session.setTimeout(this.#options.sessionIdleTimeoutMs);
    });
  }

  #drain(): void {
    this.#closing = true;
    for (const socket of this.#sniffing) socket.destroy();
    // GOAWAY names the last stream that is served. (RFC 9113 6.8 would have one sent ahead that still lets all in: after
    // that Node reads no more from a session without streams, and never learns that it has ended.)
    for (const session of this.#sessions) session.close();
    // A keep-alive connection that was busy when close() was called becomes idle later, and Node does not look again.
    const sweep = setInterval(() => this.closeIdleConnections(), 20);
    const giveUp = setTimeout(() => this.closeAllConnections(), this.#options.closeGraceMs);
    this.once("close", () => {
      clearInterval(sweep);
      clearTimeout(giveUp);
    });
  }
}

/** The port that a listening server got. */
export function portOf(server: http.Server): number {
  return (server.address() as AddressInfo).port;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Looks at the first bytes of a connection and puts them back. `decided` is called exactly once: as soon as a byte
 * differs from HTTP/2's preface (`http1`), when the preface is whole (`http2`), or when the socket was closed, by the
 * peer or by the deadline, before either (`undefined`).
 */
function sniff(socket: Socket, timeoutMs: number, decided: (version: "http1" | "http2" | undefined) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const deadline = setTimeout(() => socket.destroy(), timeoutMs);

  function onReadable(): void {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, preface.length);
    const matches = seen.compare(preface, 0, compared, 0, compared) === 0;
    if (matches && seen.length < preface.length) return;
    socket.unshift(seen);
    settle(matches ? "http2" : "http1");
  }
  function onGone(): void {
    socket.destroy();
    settle(undefined);
  }
  function settle(version: "http1" | "http2" | undefined): void {
    clearTimeout(deadline);
    socket.off("readable", onReadable).off("end", onGone).off("close", onGone);
    if (version !== undefined) socket.off("error", ignore);
    decided(version);
  }

  // A reset while sniffing is nobody's error: 'close' follows.
  socket.on("readable", onReadable).on("end", onGone).on("close", onGone).on("error", ignore);
}

function ignore(): void {}
