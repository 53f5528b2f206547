import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyServerFactory } from "fastify";
import type { HoldBytes } from "./held-bytes.ts";
import { contain, createListenerGuard, type ListenerGuard, type NetworkError } from "./listener-guard.ts";
import { plainRefusals, type Refusals } from "./refusals.ts";
import { requireFraming, requireStreamFraming } from "./request-framing.ts";
import { lookAgainMs, UnfinishedRequests, UnreadAnswers } from "./slow-peers.ts";
import { unreadableRequests } from "./unreadable-requests.ts";

/** What a connection on the port may do, and for how long. All times are in milliseconds. */
export interface OnePortOptions {
  /** Whether a connection may be there at all; one that may not is reset before anything is read. All may if absent. */
  readonly admits?: (socket: Socket) => boolean;
  /** A connection that has not shown which HTTP version it speaks by then is closed; so is HTTP/2 without its SETTINGS. */
  readonly sniffTimeoutMs?: number;
  /** HTTP/1.1: the headers of a request have to be in by then. */
  readonly headersTimeoutMs?: number;
  /** A request has to be in by then, with its body. No method may take a stream from its caller for longer. */
  readonly requestTimeoutMs?: number;
  /**
   * An answer of which nobody takes what was written is broken off after so long. A stream that is read may be silent for
   * as long as it likes.
   */
  readonly unreadTimeoutMs?: number;
  /** Counts what waits for its reader, a few times a second; what is too much is broken off. Not limited if absent. */
  readonly holdBytes?: HoldBytes;
  /** HTTP/1.1: a connection without a request is closed after so long. */
  readonly keepAliveMs?: number;
  /** HTTP/2: streams that one client may hold open at the same time. */
  readonly maxConcurrentStreams?: number;
  /**
   * HTTP/2: how often a connection is asked by PING whether it lives; one that had no stream since is closed, and one whose peer
   * said so long ago that it is leaving (GOAWAY).
   */
  readonly sessionCheckMs?: number;
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
  /** Told of each error of a connection, session, stream or request, and of each exception that was contained in one. */
  readonly onNetworkError?: (error: NetworkError) => void;
  /** What is answered to what reaches no handler: requests that are malformed, and what is no request. */
  readonly refusals?: Refusals;
  /** HTTP/2: answers a stream itself and says so, before Node makes the objects that look like those of HTTP/1.1. */
  readonly answersStream?: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => boolean;
}

const defaults = {
  admits: () => true,
  sniffTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  unreadTimeoutMs: 60_000,
  // Longer than clients and balancers keep a connection: whoever closes first must not be us, just as they reuse it.
  keepAliveMs: 72_000,
  maxConcurrentStreams: 100,
  sessionCheckMs: 60_000,
  pingTimeoutMs: 10_000,
  maxHeaderBytes: 16_384,
  streamResets: { burst: 1_000, perSecond: 100 },
  closeGraceMs: 10_000,
  onNetworkError: () => {},
  refusals: plainRefusals,
  answersStream: () => false,
};

/** Node looks this often for requests over HTTP/1.1 that are late, and we for the rest. */
const lookEveryMs = 5_000;
/** What readers do not take is counted this often: a process makes no more than some tens of megabytes in that time. */
const countEveryMs = 250;

/**
 * A Fastify `serverFactory` whose one port answers HTTP/1.1 and HTTP/2 without TLS (prior knowledge, RFC 9113 3.3) with
 * the same handler. To Fastify it is an `http.Server`; behind `request.raw` and `reply.raw` of an HTTP/2 request are
 * Node's compatibility objects.
 */
export function onePortServerFactory(options: OnePortOptions = {}): FastifyServerFactory<http.Server> {
  return (handler) => new OnePortServer(options, handler);
}

type StreamListener = (
  this: http2.Http2Server,
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;
type SocketListener = (this: http.Server, socket: Socket) => void;

/**
 * A real `http.Server` of which only the 'connection' event is wrapped, so that its timeouts, its list of idle
 * connections and its 'clientError' event go on working. `close()` lets running requests of both versions finish and
 * takes milliseconds when there are none.
 */
export class OnePortServer extends http.Server {
  readonly #options: Required<Omit<OnePortOptions, "holdBytes">>;
  readonly #guard: ListenerGuard;
  readonly #http1: SocketListener;
  readonly #http2: http2.Http2Server;
  readonly #sniffing = new Set<Socket>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #http2Sockets = new Set<Socket>();
  readonly #answers: UnreadAnswers;
  readonly #requests = new UnfinishedRequests();
  #closing = false;

  constructor(options: OnePortOptions, handler: http.RequestListener) {
    const settled = { ...defaults, ...options };
    const { headersTimeoutMs, requestTimeoutMs, unreadTimeoutMs, keepAliveMs, maxHeaderBytes } = settled;
    const http1 = {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(lookEveryMs, headersTimeoutMs),
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: maxHeaderBytes,
      requireHostHeader: false, // We look ourselves.
    };
    const guard = createListenerGuard(settled.onNetworkError);
    const guarded =
      (listener: http.RequestListener): http.RequestListener =>
      (request, response) => {
        guard("request", request);
        guard("response", response);
        contain(response, () => listener(request, response));
      };
    const answers = new UnreadAnswers(options.holdBytes);
    const framed = guarded(requireFraming(handler, settled.refusals.refuse));
    const unreadable = unreadableRequests(settled.refusals.unreadable);
    const http1Handler = unreadable.requireOneHost((request, response) => {
      answers.asked(request.socket, request.headers, response);
      framed(request, response);
    });
    super(http1, http1Handler);
    this.#answers = answers;
    this.on("clientError", (error, socket) => {
      // What broke the socket itself was reported by it.
      if (socket.errored === null) settled.onNetworkError({ on: "connection", kind: "error", error });
      contain(socket, () => unreadable.answer(error, socket));
    });
    this.on("connect", (_request, socket) => unreadable.refuseTunnel(socket));
    // Node would answer 417; who does not know an expectation may as well ignore it (RFC 9110 10.1.1).
    this.on("checkExpectation", http1Handler);
    this.#options = settled;
    this.#guard = guard;
    const cutOff = setInterval(
      () => {
        this.#answers.cutOff(unreadTimeoutMs);
        this.#requests.cutOff(requestTimeoutMs);
      },
      Math.min(lookEveryMs, unreadTimeoutMs, requestTimeoutMs),
    ).unref();
    const count = setInterval(() => answers.bound(), countEveryMs).unref();
    this.once("close", () => {
      clearInterval(cutOff);
      clearInterval(count);
    });
    this.#http1 = this.listeners("connection")[0] as SocketListener;
    this.#http2 = this.#createHttp2(guarded(unreadable.requireKnownMethod(handler)));
    this.removeAllListeners("connection");
    this.on("connection", (socket: Socket) => {
      guard("connection", socket);
      contain(socket, () => this.#accept(socket));
    });
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
    if (!this.#options.admits(socket)) {
      // Unlike a connection that is closed, one that is reset leaves nothing behind in the kernel.
      socket.resetAndDestroy();
      return;
    }
    this.#sniffing.add(socket);
    sniff(socket, this.#options.sniffTimeoutMs, (version) => {
      this.#sniffing.delete(socket);
      if (version === "http1") {
        this.#answers.watch(socket);
        socket.once("close", () => this.#answers.forget(socket));
        this.#http1.call(this, socket);
      }
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
    // Node's compatibility objects are made to be used as those of HTTP/1.1.
    const compatible = handler as unknown as (
      request: http2.Http2ServerRequest,
      response: http2.Http2ServerResponse,
    ) => void;
    const server = http2.createServer(
      {
        settings: { maxConcurrentStreams, maxHeaderListSize: maxHeaderBytes, enablePush: false },
        streamResetBurst: streamResets.burst,
        streamResetRate: streamResets.perSecond,
      },
      compatible,
    );
    server.on("checkExpectation", compatible);
    const [makeCompatible] = server.listeners("stream") as [StreamListener];
    server.removeListener("stream", makeCompatible);
    const answer = requireStreamFraming((stream, headers, ...rest) => {
      if (!this.#options.answersStream(stream, headers)) {
        makeCompatible.call(server, stream, headers, ...rest);
      }
    }, this.#options.refusals.refuse);
    server.on("stream", (stream, headers, ...rest) => {
      this.#guard("stream", stream);
      // Node announces a stream in the next tick. What came after its headers in the same packet may have reset it or broken
      // its session by then: it has no socket and takes no answer.
      if (stream.closed || stream.destroyed) return;
      contain(stream, () => answer(stream, headers, ...rest));
    });
    server.on("session", (session) => {
      this.#guard("session", session);
      contain(session, () => this.#watch(session));
    });
    return server;
  }

  /** Node's HTTP/2 has no time limit of its own. */
  #watch(session: http2.ServerHttp2Session): void {
    const { sniffTimeoutMs, sessionCheckMs } = this.#options;
    let streams = 0;
    let used = true;
    session.on("stream", (stream, headers) => {
      if (stream.destroyed) return;
      streams += 1;
      used = true;
      this.#answers.watch(stream, headers);
      this.#requests.watch(stream);
      // One listener for all: a stream is short, and each costs it time.
      stream.on("close", () => {
        streams -= 1;
        this.#answers.forget(stream);
        this.#requests.forget(stream);
      });
    });
    const greeting = setTimeout(() => session.destroy(), sniffTimeoutMs);
    session.once("remoteSettings", () => clearTimeout(greeting));
    let wasClosed = false;
    const check = setInterval(() => {
      // After a GOAWAY Node sends no PING; and when an error followed it reads no more either, and never learns that the peer
      // has gone.
      if (wasClosed) session.destroy();
      else if (streams > 0) this.#askWhetherAlive(session);
      else if (!used) session.destroy();
      used = false;
      wasClosed = session.closed;
    }, sessionCheckMs);
    this.#sessions.add(session);
    session.once("close", () => {
      this.#sessions.delete(session);
      clearTimeout(greeting);
      clearInterval(check);
    });
    if (this.#closing) session.close();
  }

  #askWhetherAlive(session: http2.ServerHttp2Session): void {
    if (session.destroyed) return;
    let verdict = setTimeout(() => {
      // A process that was busy looks at its clock before it looks at what has arrived meanwhile.
      verdict = setTimeout(() => session.destroy(), lookAgainMs);
    }, this.#options.pingTimeoutMs);
    session.ping(() => clearTimeout(verdict));
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
  // A process that was busy looks at its clock before it looks at what has arrived meanwhile: that goes first.
  let late: NodeJS.Immediate | undefined;
  const deadline = setTimeout(() => {
    late = setImmediate(() => socket.destroy());
  }, timeoutMs);

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
    clearImmediate(late);
    socket.off("readable", onReadable).off("end", onGone).off("close", onGone);
    if (version !== undefined) socket.off("error", ignore);
    decided(version);
  }

  // A reset while sniffing is nobody's error: 'close' follows.
  socket.on("readable", onReadable).on("end", onGone).on("close", onGone).on("error", ignore);
}

function ignore(): void {}
