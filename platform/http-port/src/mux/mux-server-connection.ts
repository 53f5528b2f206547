import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { constants } from "node:http2";
import type { Socket } from "node:net";
import {
  type AnswerHead,
  type Frame,
  FrameReader,
  FrameWriter,
  frameType,
  type GoAwayHead,
  type HelloHead,
  MuxProtocolError,
  muxPreface,
  type ResetHead,
  requestHeadOf,
} from "./frames.ts";

/** A unary call on a multiplexed connection. Exactly one of answer, decline and reset ends it; later ones do nothing. */
export interface MuxCall {
  readonly method: string;
  /** The target of the request line; to be normalized before anything else reads it. */
  path: string;
  readonly headers: IncomingHttpHeaders;
  /** The whole body of the request. */
  readonly body: Buffer;
  readonly socket: Socket;
  /** The HTTP status and gRPC status of the answer; undefined before it, and if the call was declined. */
  readonly sent: { readonly status: number | undefined; readonly grpcStatus: string | undefined };
  /** Calls `listener` when the call has ended or its caller has gone, with an error code of HTTP/2, or 0. */
  onClose(listener: (resetCode: number) => void): void;
  answer(status: number, headers: OutgoingHttpHeaders, body: Uint8Array, trailers: OutgoingHttpHeaders): void;
  /** Nothing was done: the client makes the call over HTTP. */
  decline(): void;
  /** @param code an error code of HTTP/2 */
  reset(code: number): void;
}

/** The longest body of a request: a longer one comes over HTTP, which streams it. */
const maxBodyBytes = 65_536;

export interface MuxOptions {
  /** Answers a call. An exception in it, or a rejection, resets the call. */
  answers(call: MuxCall): Promise<void> | void;
  /** Reports an exception or a rejection of `answers`. */
  onException(error: unknown): void;
  readonly maxHeaderBytes: number;
  /** The processes that share the port. */
  readonly workers: number;
}

/** JSON needs up to two bytes for a character of a header, and quotes; and a forwarder adds headers. */
const headFactor = 4;
/** Further calls are declined. */
const maxCalls = 4_096;
/** While more bytes of answers are unread, no requests are read. */
const maxUnreadBytes = 4 * 1_048_576;
/** Tells this process from the others that share its ports. */
const worker = randomUUID();

/**
 * The server's end of a multiplexed connection: many unary calls of another process on one connection, each a frame with the
 * whole request, answered by a frame with the whole answer. Frames of one turn of the event loop leave in one write, which is
 * what HTTP cannot do: there each message costs system calls of its own.
 */
export class MuxServerConnection {
  readonly #socket: Socket;
  readonly #options: MuxOptions;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #calls = new Map<number, ServerCall>();
  #isDraining = false;
  #wasUsed = true;

  /** @param socket one whose next bytes are the client's preface */
  constructor(socket: Socket, options: MuxOptions) {
    this.#socket = socket;
    this.#options = options;
    const { workers, maxHeaderBytes } = options;
    const limits = { maxHeadBytes: headFactor * maxHeaderBytes, maxBodyBytes };
    this.#reader = new FrameReader({ ...limits, maxBytes: limits.maxHeadBytes + limits.maxBodyBytes });
    this.#writer = new FrameWriter((bytes, written) => this.#write(bytes, written));
    let unread = muxPreface.byteLength;
    socket.on("data", (chunk: Buffer) => {
      const skipped = Math.min(unread, chunk.byteLength);
      unread -= skipped;
      if (skipped < chunk.byteLength) this.#read(chunk.subarray(skipped));
    });
    socket.on("drain", () => socket.resume());
    socket.on("close", () => {
      for (const call of this.#calls.values()) call.end(constants.NGHTTP2_CANCEL);
    });
    socket.write(muxPreface);
    this.#writer.send(frameType.hello, 0, { workers, worker, ...limits } satisfies HelloHead);
  }

  /**
   * Announces that no further calls are taken. The client closes the connection once the current ones are answered.
   *
   * @param isLeaving whether the port is about to close
   */
  drain(isLeaving = true): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#writer.send(frameType.goAway, 0, { isLeaving } satisfies GoAwayHead);
  }

  /** Drains the connection if there was no call since the last check. */
  drainIfUnused(): void {
    if (!this.#wasUsed && this.#calls.size === 0) this.drain(false);
    this.#wasUsed = false;
  }

  #write(bytes: Buffer, written: () => void): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(bytes, written);
    if (this.#socket.writableLength > maxUnreadBytes) this.#socket.pause();
  }

  #read(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) this.#receive(frame);
    } catch (error) {
      if (!(error instanceof MuxProtocolError)) throw error;
      this.#socket.destroy(error);
    }
  }

  #receive({ type, id, head, body }: Frame): void {
    switch (type) {
      case frameType.request:
        this.#begin(id, head, body);
        break;
      case frameType.cancel:
        this.#calls.get(id)?.end((head as ResetHead | undefined)?.code ?? constants.NGHTTP2_CANCEL);
        break;
      case frameType.ping:
        this.#writer.send(frameType.pong);
        break;
      default:
        throw new MuxProtocolError("a client sends no such frame");
    }
  }

  #begin(id: number, head: unknown, body: Buffer): void {
    if (this.#calls.has(id)) throw new MuxProtocolError("the id of a call is in use");
    const { method, path, headers } = requestHeadOf(head);
    this.#wasUsed = true;
    if (this.#isDraining || this.#calls.size >= maxCalls) {
      this.#writer.send(frameType.decline, id);
      return;
    }
    const call = new ServerCall(method, path, headers, body, this.#socket, (...frame) => {
      this.#calls.delete(id);
      const [ending, ...content] = frame;
      if (ending !== undefined) this.#writer.send(ending, id, ...content);
    });
    this.#calls.set(id, call);
    const failed = (error: unknown) => {
      this.#options.onException(error);
      call.reset(constants.NGHTTP2_INTERNAL_ERROR);
    };
    try {
      this.#options.answers(call)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

type Ending = (typeof frameType)["answer" | "decline" | "reset"];
type Finish = (type?: Ending, head?: object, body?: Uint8Array) => void;

const nothingSent = { status: undefined, grpcStatus: undefined };

class ServerCall implements MuxCall {
  readonly method: string;
  path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly socket: Socket;
  readonly #finish: Finish;
  #sent: MuxCall["sent"] = nothingSent;
  #listeners: ((resetCode: number) => void)[] | undefined;
  /** Why the call has ended. */
  #endCode: number | undefined;

  constructor(
    method: string,
    path: string,
    headers: IncomingHttpHeaders,
    body: Buffer,
    socket: Socket,
    /** Ends the call on the connection, with a frame unless its caller has gone. */
    finish: Finish,
  ) {
    this.method = method;
    this.path = path;
    this.headers = headers;
    this.body = body;
    this.socket = socket;
    this.#finish = finish;
  }

  get sent(): MuxCall["sent"] {
    return this.#sent;
  }

  onClose(listener: (resetCode: number) => void): void {
    if (this.#endCode !== undefined) listener(this.#endCode);
    else {
      this.#listeners ??= [];
      this.#listeners.push(listener);
    }
  }

  answer(status: number, headers: OutgoingHttpHeaders, body: Uint8Array, trailers: OutgoingHttpHeaders): void {
    let head: AnswerHead = { status, headers };
    for (const _ in trailers) {
      head = { status, headers, trailers };
      break;
    }
    this.#sent = { status, grpcStatus: trailers["grpc-status"]?.toString() };
    this.end(0, frameType.answer, head, body);
  }

  decline(): void {
    this.end(0, frameType.decline);
  }

  reset(code: number): void {
    this.end(code, frameType.reset, { code } satisfies ResetHead);
  }

  end(code: number, ...frame: Parameters<Finish>): void {
    if (this.#endCode !== undefined) return;
    this.#endCode = code;
    this.#finish(...frame);
    for (const listener of this.#listeners ?? []) listener(code);
  }
}
