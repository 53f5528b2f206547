import * as http2 from "node:http2";
import type { ListenerGuard } from "@shop/http-port";

/** All times are in milliseconds. */
export interface SessionOptions {
  readonly connectTimeoutMs: number;
  /** How often a session with open streams gets a PING; a session without a stream for that time is closed. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly maxSessions: number;
  readonly guard: ListenerGuard;
  /** Called when the peer announces that it will close (GOAWAY without an error). */
  readonly onLeaving: () => void;
}

/** No connection could be made, so nothing was sent. */
export class NotConnected extends Error {
  override readonly name = "NotConnected";
}

/**
 * HTTP/2 sessions without TLS to one address, opened on demand: one, and further ones when the peer's maxConcurrentStreams is
 * reached. A session that ends or gets a GOAWAY takes no new request.
 */
export class Http2Sessions {
  readonly #origin: string;
  readonly #options: SessionOptions;
  readonly #ready = new Set<Session>();
  #connecting: Promise<void> | undefined;

  /** @param origin `http://host:port` */
  constructor(origin: string, options: SessionOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  /** Opens a stream. Rejects with {@link NotConnected} if no connection can be made. */
  async request(
    headers: http2.OutgoingHttpHeaders,
    options: http2.ClientSessionRequestOptions,
  ): Promise<http2.ClientHttp2Stream> {
    for (;;) {
      const session = this.#withRoom();
      if (session !== undefined) return session.request(headers, options);
      this.#connecting ??= this.#connect().finally(() => {
        this.#connecting = undefined;
      });
      await this.#connecting;
    }
  }

  /** Closes all sessions at once, with their streams. */
  close(): void {
    for (const session of this.#ready) session.destroy();
  }

  #withRoom(): Session | undefined {
    for (const session of this.#ready) if (session.hasRoom) return session;
    if (this.#ready.size < this.#options.maxSessions) return undefined;
    // nghttp2 queues streams over the limit until another ends.
    return [...this.#ready].reduce((least, session) => (session.open < least.open ? session : least));
  }

  async #connect(): Promise<void> {
    const connection = await connect(this.#origin, this.#options);
    const session = new Session(connection, this.#options);
    const retire = () => this.#ready.delete(session);
    this.#ready.add(session);
    connection.once("goaway", retire).once("close", retire);
    connection.once("goaway", (code) => {
      if (code === http2.constants.NGHTTP2_NO_ERROR) this.#options.onLeaving();
    });
  }
}

class Session {
  open = 0;
  #used = true;
  readonly #connection: http2.ClientHttp2Session;
  readonly #options: SessionOptions;

  constructor(connection: http2.ClientHttp2Session, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
    const timer = setInterval(() => this.#tick(), options.pingIntervalMs).unref();
    connection.once("close", () => clearInterval(timer));
  }

  get hasRoom(): boolean {
    const { closed, destroyed, remoteSettings } = this.#connection;
    return !closed && !destroyed && this.open < (remoteSettings.maxConcurrentStreams ?? Infinity);
  }

  request(headers: http2.OutgoingHttpHeaders, options: http2.ClientSessionRequestOptions): http2.ClientHttp2Stream {
    const stream = this.#connection.request(inPairs(headers), options);
    this.#options.guard("stream", stream);
    this.open += 1;
    this.#used = true;
    stream.on("close", () => {
      this.open -= 1;
    });
    return stream;
  }

  /** With an error: otherwise its streams would end like complete ones, and half an answer would look whole. */
  destroy(): void {
    this.#connection.destroy(new Error("the session was destroyed"));
  }

  /** A session without streams is closed rather than kept alive by PINGs, which servers treat as abuse. */
  #tick(): void {
    if (this.open > 0) this.#ping();
    else if (!this.#used) this.#connection.close();
    this.#used = false;
  }

  #ping(): void {
    if (this.#connection.destroyed) return;
    const verdict = setTimeout(() => this.destroy(), this.#options.pingTimeoutMs);
    this.#connection.ping(() => clearTimeout(verdict));
  }
}

/** A flat list of names and values: Node sends it as it is, but copies an object first. */
function inPairs(headers: http2.OutgoingHttpHeaders): string[] {
  const pairs: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (Array.isArray(value)) for (const one of value) pairs.push(name, one);
    else if (value !== undefined) pairs.push(name, String(value));
  }
  return pairs;
}

/** Resolves when the peer's SETTINGS have arrived: only then it is known to speak HTTP/2, and its limit of streams. */
function connect(
  origin: string,
  { connectTimeoutMs, guard }: Pick<SessionOptions, "connectTimeoutMs" | "guard">,
): Promise<http2.ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const connection = http2.connect(origin, { settings: { enablePush: false }, maxSessionMemory: 64 });
    guard("session", connection);
    const fail = (cause?: unknown) => {
      clearTimeout(deadline);
      reject(new NotConnected(`no HTTP/2 connection to ${origin}`, { cause }));
    };
    const deadline = setTimeout(() => connection.destroy(new Error("timed out")), connectTimeoutMs);
    // Stays attached: a later error is also reported through its streams and 'close'.
    connection.on("error", fail);
    connection.once("close", fail);
    connection.once("remoteSettings", () => {
      clearTimeout(deadline);
      connection.off("close", fail);
      resolve(connection);
    });
  });
}
