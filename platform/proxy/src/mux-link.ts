import type * as http from "node:http";
import type { Socket } from "node:net";
import {
  type AnswerHead,
  type Frame,
  FrameReader,
  FrameWriter,
  frameType,
  type GoAwayHead,
  type HelloHead,
  type ListenerGuard,
  MuxProtocolError,
  type MuxRequestHead,
  muxPreface,
  type ResetHead,
} from "@shop/http-port";
import { openSocket } from "./open-socket.ts";

/** All times are in milliseconds. */
export interface MuxLinkOptions {
  readonly connectTimeoutMs: number;
  readonly guard: ListenerGuard;
  /** A link without any traffic for this time, while calls wait, is closed; it pings three times as often. 3,000 by default. */
  readonly silentMs?: number;
  /** Called when the server announces that it will close its port. */
  readonly onLeaving?: () => void;
}

/** The whole answer to a call. */
export interface MuxAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** How a call ended: with its answer; declined, so that nothing was done; or broken off, perhaps after it was executed. */
export type MuxOutcome =
  | { readonly kind: "answered"; readonly answer: MuxAnswer }
  | { readonly kind: "declined" }
  | { readonly kind: "broken"; readonly cause: unknown };

const frameLimits = { maxHeadBytes: 1_048_576, maxBytes: 1_073_741_824 };
const defaultSilentMs = 3_000;
/** A connection is silent after this many checks in a row before which nothing was received. */
const checksInSilence = 3;
/** While more bytes of requests are unsent, the link takes no further calls. */
const maxUnsentBytes = 1_048_576;

/**
 * The client's end of a multiplexed connection (see MuxServerConnection in @shop/http-port). A network may drop its
 * bytes without notice: while calls wait it sends pings, and closes when nothing at all arrives.
 */
export class MuxLink {
  readonly #socket: Socket;
  readonly #hello: HelloHead;
  readonly #silentMs: number;
  readonly #onLeaving: () => void;
  readonly #writer: FrameWriter;
  readonly #calls = new Map<number, (outcome: MuxOutcome) => void>();
  #nextId = 1;
  #isOpen = true;
  /** Checks since the last received bytes. */
  #silentChecks = 0;
  #pinging: NodeJS.Timeout | undefined;
  #onClose = () => {};

  /** @param socket one on which the server has sent its `hello` */
  constructor(
    socket: Socket,
    hello: HelloHead,
    { silentMs = defaultSilentMs, onLeaving = () => {} }: MuxLinkOptions,
    reader: FrameReader,
    early: readonly Frame[],
  ) {
    this.#socket = socket;
    this.#hello = hello;
    this.#silentMs = silentMs;
    this.#onLeaving = onLeaving;
    this.#writer = new FrameWriter((bytes, written) => {
      if (!socket.destroyed) socket.write(bytes, written);
    });
    socket.on("data", (chunk: Buffer) => {
      this.#silentChecks = 0;
      try {
        for (const frame of reader.read(chunk)) this.#receive(frame);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.once("close", () => this.#close(socket.errored ?? new Error("the connection was closed")));
    socket.unref();
    for (const frame of early) this.#receive(frame);
  }

  /** Whether it takes calls. */
  get isOpen(): boolean {
    return this.#isOpen && this.#socket.writableLength <= maxUnsentBytes;
  }

  /** The process that the link leads to; undefined if the server does not say. */
  get worker(): string | undefined {
    return this.#hello.worker;
  }

  /** Whether a request is within the server's limits. */
  carries({ path, headers }: MuxRequestHead, bodyBytes: number): boolean {
    let most = 100 + 2 * path.length;
    for (const name in headers) {
      const values = headers[name];
      if (Array.isArray(values)) for (const value of values) most += 2 * value.length + 3;
      else most += 2 * (values?.length ?? 0);
      most += name.length + 8;
    }
    return most <= this.#hello.maxHeadBytes && bodyBytes <= this.#hello.maxBodyBytes;
  }

  /** Calls `closed` once the link takes no further calls, ever. */
  onClose(closed: () => void): void {
    this.#onClose = closed;
    if (!this.#isOpen) closed();
  }

  /** Starts a call; `ended` is called exactly once, unless the returned function is called before: that cancels it. */
  call(head: MuxRequestHead, body: Uint8Array, ended: (outcome: MuxOutcome) => void): (code: number) => void {
    const id = this.#nextId;
    this.#nextId = (id % 0xffff_ffff) + 1;
    this.#calls.set(id, ended);
    this.#writer.send(frameType.request, id, head, body);
    if (this.#calls.size === 1) this.#await();
    return (code) => {
      if (this.#calls.has(id)) this.#writer.send(frameType.cancel, id, { code } satisfies ResetHead);
      this.#end(id);
    };
  }

  /** Closes it at once; calls in progress break. */
  close(): void {
    this.#socket.destroy();
  }

  #receive({ type, id, head, body }: Frame): void {
    switch (type) {
      case frameType.answer: {
        const { status, headers, trailers = {} } = head as AnswerHead;
        const answer = { status, headers, trailers, body } as MuxAnswer;
        this.#end(id, { kind: "answered", answer });
        break;
      }
      case frameType.decline:
        this.#end(id, { kind: "declined" });
        break;
      case frameType.reset:
        this.#end(id, { kind: "broken", cause: new Error("the upstream reset the call") });
        break;
      case frameType.goAway:
        if ((head as GoAwayHead).isLeaving) this.#onLeaving();
        this.#refuse();
        if (this.#calls.size === 0) this.#socket.end();
        break;
      case frameType.pong:
        break;
      default:
        throw new MuxProtocolError("a server sends no such frame");
    }
  }

  #end(id: number, outcome?: MuxOutcome): void {
    const ended = this.#calls.get(id);
    this.#calls.delete(id);
    if (ended !== undefined && this.#calls.size === 0) this.#rest();
    if (outcome !== undefined) ended?.(outcome);
  }

  /** Keeps the process running while calls wait, but not for an idle link. */
  #await(): void {
    this.#socket.ref();
    // An idle link hears nothing.
    this.#silentChecks = 0;
    this.#pinging ??= setInterval(() => this.#check(), this.#silentMs / checksInSilence).unref();
  }

  #rest(): void {
    this.#socket.unref();
    if (!this.#isOpen) this.#socket.end();
  }

  /** Counts checks, not time: after this process was frozen its timers run before it reads what has arrived meanwhile. */
  #check(): void {
    if (this.#calls.size === 0) return;
    if (++this.#silentChecks > checksInSilence) this.#socket.destroy(new Error("the upstream is silent"));
    else this.#writer.send(frameType.ping);
  }

  #refuse(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onClose();
  }

  #close(cause: Error): void {
    clearInterval(this.#pinging);
    this.#refuse();
    for (const id of [...this.#calls.keys()]) this.#end(id, { kind: "broken", cause });
  }
}

/** Why no link could be opened: the server speaks HTTP only, or cannot be reached. */
export class NoMux extends Error {
  override readonly name = "NoMux";
  readonly speaksHttpOnly: boolean;

  constructor(speaksHttpOnly: boolean, cause?: unknown) {
    super(speaksHttpOnly ? "the server does not multiplex" : "the server cannot be reached", { cause });
    this.speaksHttpOnly = speaksHttpOnly;
  }
}

/**
 * Connects, and waits for the server's `hello`. Rejects with {@link NoMux}.
 *
 * @param origin `http://host:port`
 */
export async function openMuxLink(
  origin: string,
  options: MuxLinkOptions,
): Promise<{ readonly link: MuxLink; readonly workers: number }> {
  const socket = await openSocket(origin, options).catch((cause: unknown) => {
    throw new NoMux(false, cause);
  });
  const { hello, reader, early } = await greet(socket, options.connectTimeoutMs);
  return { link: new MuxLink(socket, hello, options, reader, early), workers: hello.workers };
}

/** Sends the preface, and reads the server's. `early` are frames that arrived together with its `hello`. */
function greet(
  socket: Socket,
  timeoutMs: number,
): Promise<{ readonly hello: HelloHead; readonly reader: FrameReader; readonly early: readonly Frame[] }> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => socket.destroy(new Error("timed out")), timeoutMs);
    const reader = new FrameReader(frameLimits);
    let seen = Buffer.alloc(0);

    function settle(): void {
      clearTimeout(deadline);
      socket.off("data", read).off("close", closed);
    }
    function fail(speaksHttpOnly: boolean, cause?: unknown): void {
      settle();
      socket.destroy();
      reject(new NoMux(speaksHttpOnly, cause));
    }
    function closed(): void {
      // A server that speaks HTTP answers the preface with an error, or closes the connection.
      fail(socket.errored === null, socket.errored);
    }
    function read(chunk: Buffer): void {
      seen = Buffer.concat([seen, chunk]);
      const compared = Math.min(seen.length, muxPreface.length);
      const isMux = seen.compare(muxPreface, 0, compared, 0, compared) === 0;
      if (isMux && seen.length < muxPreface.length) return;
      try {
        if (!isMux) throw new MuxProtocolError("the server did not repeat the preface");
        const [first, ...early] = reader.read(seen.subarray(muxPreface.length));
        seen = Buffer.from(muxPreface);
        if (first === undefined) return;
        if (first.type !== frameType.hello) throw new MuxProtocolError("the server did not say hello");
        settle();
        resolve({ hello: first.head as HelloHead, reader, early });
      } catch (error) {
        fail(true, error);
      }
    }
    // 'close' follows an error.
    socket
      .on("error", () => {})
      .on("data", read)
      .once("close", closed)
      .write(muxPreface);
  });
}
