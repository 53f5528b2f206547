import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyServerFactory } from "fastify";
import type { HoldBytes } from "./held-bytes.ts";
import { contain, createListenerGuard, type ListenerGuard, type NetworkError } from "./listener-guard.ts";
import { muxPreface } from "./mux/frames.ts";
import { type MuxCall, MuxServerConnection } from "./mux/mux-server-connection.ts";
import { plainRefusals, type Refusals } from "./refusals.ts";
import { requireFraming, requireStreamFraming } from "./request-framing.ts";
import { recheckMs, UnfinishedRequests, UnreadAnswers } from "./slow-peers.ts";
import { unreadableRequests } from "./unreadable-requests.ts";

/** Limits and hooks of a port. All times are in milliseconds. */
export interface OnePortOptions {
  /** Whether to admit a connection; one that is refused is reset before anything is read. Admits all if absent. */
  readonly admits?: (socket: Socket) => boolean;
  /**
   * The time after which a connection is closed that has not revealed its HTTP version, or has not sent its HTTP/2 SETTINGS.
   */
  readonly sniffTimeoutMs?: number;
  /** HTTP/1.1: the time within which the headers of a request must arrive. */
  readonly headersTimeoutMs?: number;
  /** The time within which a request must arrive, with its body. So no method may read a client stream for longer. */
  readonly requestTimeoutMs?: number;
  /**
   * The time after which an answer is aborted whose client reads nothing of what was written. A stream that is read may be idle
   * for any length of time.
   */
  readonly unreadTimeoutMs?: number;
  /** Counts unread answers, four times a second; answers beyond the budget are aborted. Unlimited if absent. */
  readonly holdBytes?: HoldBytes;
  /** HTTP/1.1: the time after which an idle connection is closed. */
  readonly keepAliveMs?: number;
  /** HTTP/2: concurrent streams per connection. */
  readonly maxConcurrentStreams?: number;
  /**
   * HTTP/2: how often a connection is checked: with open streams by PING; one without a stream since the last check is closed,
   * and one that was already closing (GOAWAY) at the last check is destroyed.
   */
  readonly sessionCheckMs?: number;
  /** HTTP/2: the time after which an unanswered PING means that the peer is gone. */
  readonly pingTimeoutMs?: number;
  /** Bytes of headers per request, in both versions. */
  readonly maxHeaderBytes?: number;
  /**
   * HTTP/2: streams that a client may reset at once, and per second after that, before its connection is closed (rapid reset,
   * CVE-2023-44487). A port behind a forwarder gets the resets of all clients on few connections: allow it more.
   */
  readonly streamResets?: { readonly burst: number; readonly perSecond: number };
  /** The time that running requests have after `close()`; then their connections are destroyed. */
  readonly closeGraceMs?: number;
  /** Called for each error of a connection, session, stream or request, and for each contained exception. */
  readonly onNetworkError?: (error: NetworkError) => void;
  /** Encodes the answers to malformed requests, which reach no handler. */
  readonly refusals?: Refusals;
  /** HTTP/2: may answer a stream and return true, before Node creates its compatibility objects. */
  readonly answersStream?: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => boolean;
  /** Answers calls of other processes of the platform on multiplexed connections, which are refused if absent. */
  readonly answersMux?: ((call: MuxCall) => Promise<void> | void) | undefined;
  /** The processes that share the port. */
  readonly workers?: number;
}

const defaults = {
  admits: () => true,
  sniffTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  unreadTimeoutMs: 60_000,
  // Longer than clients and load balancers keep idle connections: if the server closes first, it may do so just as a client
  // reuses one.
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
  answersMux: undefined,
  workers: 1,
};

/** How often Node checks for late HTTP/1.1 requests, and this port for the rest. */
const checkIntervalMs = 5_000;
/** How often unread bytes are counted: a process writes no more than some tens of megabytes in that time. */
const countEveryMs = 250;

/**
 * A Fastify `serverFactory` whose single port serves HTTP/1.1 and HTTP/2 without TLS (prior knowledge, RFC 9113 3.3) with the
 * same handler. Fastify sees an `http.Server`; `request.raw` and `reply.raw` of an HTTP/2 request are Node's compatibility
 * objects.
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
 * An `http.Server` of which only the 'connection' event is wrapped, so that its timeouts, its list of idle connections and its
 * 'clientError' event keep working. For each connection it peeks at the first bytes (`sniff`), then passes the socket either to
 * Node's own HTTP/1.1 listener or to an HTTP/2 server inside. `close()` lets running requests of both versions finish, and
 * takes milliseconds if there are none.
 */
export class OnePortServer extends http.Server {
  readonly #options: Required<Omit<OnePortOptions, "holdBytes">>;
  readonly #guard: ListenerGuard;
  readonly #http1: SocketListener;
  readonly #http2: http2.Http2Server;
  readonly #sniffing = new Set<Socket>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #http2Sockets = new Set<Socket>();
  readonly #muxes = new Map<Socket, MuxServerConnection>();
  readonly #answers: UnreadAnswers;
  readonly #requests = new UnfinishedRequests();
  #closing = false;
  #announcedClose = false;

  constructor(options: OnePortOptions, handler: http.RequestListener) {
    const settled = { ...defaults, ...options };
    const { headersTimeoutMs, requestTimeoutMs, unreadTimeoutMs, keepAliveMs, maxHeaderBytes } = settled;
    const http1 = {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(checkIntervalMs, headersTimeoutMs),
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: maxHeaderBytes,
      requireHostHeader: false, // Checked by requireOneHost.
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
      if (this.#announcedClose) response.shouldKeepAlive = false;
      answers.addRequest(request.socket, request.headers, response);
      framed(request, response);
    });
    super(http1, http1Handler);
    this.#answers = answers;
    this.on("clientError", (error, socket) => {
      // The socket has already reported its own error.
      if (socket.errored === null) settled.onNetworkError({ on: "connection", kind: "error", error });
      contain(socket, () => unreadable.answer(error, socket));
    });
    this.on("connect", (_request, socket) => unreadable.refuseTunnel(socket));
    // Node would answer 417; an unknown expectation may be ignored (RFC 9110 10.1.1).
    this.on("checkExpectation", http1Handler);
    this.#options = settled;
    this.#guard = guard;
    const cutOff = setInterval(
      () => {
        this.#answers.cutOff(unreadTimeoutMs);
        this.#requests.cutOff(requestTimeoutMs);
      },
      Math.min(checkIntervalMs, unreadTimeoutMs, requestTimeoutMs),
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

  /**
   * Tells clients that the port is about to close, so that none sends a request on a connection just as it is closed: each answer
   * over HTTP/1.1 has `connection: close`, and each HTTP/2 session gets a GOAWAY. All requests are still served, and those of new
   * connections, too.
   */
  announceClose(): void {
    this.#announcedClose = true;
    this.#answers.closeConnections();
    // GOAWAY with the last served stream. (RFC 9113 6.8 recommends an earlier one that still admits all streams, but after that
    // Node reads nothing more from a session without streams, and never learns that it has ended.)
    for (const session of this.#sessions) session.close();
    for (const mux of this.#muxes.values()) mux.drain();
  }

  override close(callback?: (error?: Error) => void): this {
    super.close(callback);
    if (!this.#closing) this.#drain();
    return this;
  }

  override closeAllConnections(): void {
    super.closeAllConnections();
    for (const socket of this.#sniffing) socket.destroy();
    // Sockets, not sessions: a closed session waits for its peer to close the socket, and destroying it again does nothing.
    for (const socket of this.#http2Sockets) socket.destroy();
    for (const socket of this.#muxes.keys()) socket.destroy();
  }

  #accept(socket: Socket): void {
    if (!this.#options.admits(socket)) {
      // A reset leaves no state in the kernel, unlike a regular close.
      socket.resetAndDestroy();
      return;
    }
    this.#sniffing.add(socket);
    const { sniffTimeoutMs, answersMux } = this.#options;
    const prefaces = { http2: http2Preface, ...(answersMux && { mux: muxPreface }) };
    sniff(socket, sniffTimeoutMs, prefaces, (version) => {
      this.#sniffing.delete(socket);
      if (version === "http1") {
        this.#answers.watch(socket);
        socket.once("close", () => this.#answers.forget(socket));
        this.#http1.call(this, socket);
      }
      if (version === "http2") this.#acceptHttp2(socket);
      if (version === "mux") this.#acceptMux(socket, answersMux!);
    });
  }

  #acceptMux(socket: Socket, answers: (call: MuxCall) => Promise<void> | void): void {
    const { maxHeaderBytes, onNetworkError, sessionCheckMs, workers } = this.#options;
    socket.allowHalfOpen = false;
    const onException = (error: unknown) => onNetworkError({ on: "request", kind: "exception", error });
    const mux = new MuxServerConnection(socket, { answers, onException, maxHeaderBytes, workers });
    this.#muxes.set(socket, mux);
    this.#answers.watch(socket);
    const check = setInterval(() => mux.drainIfUnused(), sessionCheckMs);
    socket.once("close", () => {
      clearInterval(check);
      this.#muxes.delete(socket);
      this.#answers.forget(socket);
    });
    if (this.#announcedClose) mux.drain();
  }

  #acceptHttp2(socket: Socket): void {
    // HTTP/1.1 needs half-open sockets; an HTTP/2 session on one would not notice that its client has left.
    socket.allowHalfOpen = false;
    this.#http2Sockets.add(socket);
    socket.once("close", () => this.#http2Sockets.delete(socket));
    this.#http2.emit("connection", socket);
  }

  #createHttp2(handler: http.RequestListener): http2.Http2Server {
    const { maxConcurrentStreams, maxHeaderBytes, streamResets } = this.#options;
    // Node's compatibility objects have the interface of HTTP/1.1 ones.
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
    const [emitRequest] = server.listeners("stream") as [StreamListener];
    server.removeListener("stream", emitRequest);
    const answer = requireStreamFraming((stream, headers, ...rest) => {
      if (!this.#options.answersStream(stream, headers)) {
        emitRequest.call(server, stream, headers, ...rest);
      }
    }, this.#options.refusals.refuse);
    server.on("stream", (stream, headers, ...rest) => {
      this.#guard("stream", stream);
      // Node emits a stream in the next tick. By then later frames in the same packet may have reset it or broken its session,
      // so that it has no socket and takes no answer.
      if (stream.closed || stream.destroyed) return;
      contain(stream, () => answer(stream, headers, ...rest));
    });
    server.on("session", (session) => {
      this.#guard("session", session);
      contain(session, () => this.#watch(session));
    });
    return server;
  }

  /** Enforces time limits on a session: Node's HTTP/2 has none. */
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
      // One listener for everything: streams are short, and each listener costs time.
      stream.on("close", () => {
        streams -= 1;
        this.#answers.forget(stream);
        this.#requests.forget(stream);
      });
    });
    const settingsDeadline = setTimeout(() => session.destroy(), sniffTimeoutMs);
    session.once("remoteSettings", () => clearTimeout(settingsDeadline));
    let wasClosed = false;
    const check = setInterval(() => {
      // After a GOAWAY Node sends no PING; and if an error followed it reads nothing either, so it never learns that the peer
      // has gone.
      if (wasClosed) session.destroy();
      else if (streams > 0) this.#sendPing(session);
      else if (!used) session.destroy();
      used = false;
      wasClosed = session.closed;
    }, sessionCheckMs);
    this.#sessions.add(session);
    session.once("close", () => {
      this.#sessions.delete(session);
      clearTimeout(settingsDeadline);
      clearInterval(check);
    });
    if (this.#closing) session.close();
  }

  #sendPing(session: http2.ServerHttp2Session): void {
    if (session.destroyed) return;
    let verdict = setTimeout(() => {
      // After a busy period Node runs timers before it reads what has arrived meanwhile.
      verdict = setTimeout(() => session.destroy(), recheckMs);
    }, this.#options.pingTimeoutMs);
    session.ping(() => clearTimeout(verdict));
  }

  #drain(): void {
    this.#closing = true;
    for (const socket of this.#sniffing) socket.destroy();
    this.announceClose();
    // A keep-alive connection that was busy during close() becomes idle later, and Node does not check again.
    const sweep = setInterval(() => this.closeIdleConnections(), 20);
    const giveUp = setTimeout(() => this.closeAllConnections(), this.#options.closeGraceMs);
    this.once("close", () => {
      clearInterval(sweep);
      clearTimeout(giveUp);
    });
  }
}

/** The port number of a listening server. */
export function portOf(server: http.Server): number {
  return (server.address() as AddressInfo).port;
}

const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

type Version = "http1" | "http2" | "mux";

/**
 * Peeks at the first bytes of a connection and puts them back. Calls `decided` exactly once: when a preface is complete, with its
 * version; as soon as the bytes differ from every preface, with `http1`; or with undefined when the socket is closed before, by
 * the peer or by the timeout.
 */
function sniff(
  socket: Socket,
  timeoutMs: number,
  prefaces: Readonly<Partial<Record<Version, Buffer>>>,
  decided: (version: Version | undefined) => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  // After a busy period Node runs timers before it reads what has arrived meanwhile: wait for one more read.
  let late: NodeJS.Immediate | undefined;
  const deadline = setTimeout(() => {
    late = setImmediate(() => socket.destroy());
  }, timeoutMs);

  function onReadable(): void {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const version = versionOf(seen, prefaces);
    if (version === undefined) return;
    socket.unshift(seen);
    settle(version);
  }
  function onGone(): void {
    socket.destroy();
    settle(undefined);
  }
  function settle(version: Version | undefined): void {
    clearTimeout(deadline);
    clearImmediate(late);
    socket.off("readable", onReadable).off("end", onGone).off("close", onGone);
    if (version !== undefined) socket.off("error", ignore);
    decided(version);
  }

  // A reset while sniffing is no error: 'close' follows.
  socket.on("readable", onReadable).on("end", onGone).on("close", onGone).on("error", ignore);
}

/** The version that the bytes announce; undefined while they are the beginning of a preface. */
function versionOf(seen: Buffer, prefaces: Readonly<Partial<Record<Version, Buffer>>>): Version | undefined {
  for (const [version, preface] of Object.entries(prefaces) as [Version, Buffer][]) {
    const compared = Math.min(seen.length, preface.length);
    if (seen.compare(preface, 0, compared, 0, compared) !== 0) continue;
    return seen.length < preface.length ? undefined : version;
  }
  return "http1";
}

function ignore(): void {}
