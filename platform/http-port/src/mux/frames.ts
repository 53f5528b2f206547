import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** Sent first, by both ends. An HTTP/1.1 server refuses it as a malformed request, so that the client falls back to HTTP. */
export const muxPreface = Buffer.from("SHOP-MUX/1\r\n\r\n", "latin1");

/** The types of frames, and in braces their heads. Every frame but `hello` and `goAway` names the call it belongs to. */
export const frameType = {
  /** From the server, once {@link HelloHead}. */
  hello: 0,
  /** From the client {@link RequestHead}, with the whole body. */
  request: 1,
  /** From the server {@link AnswerHead}, with the whole body. */
  answer: 2,
  /** From the server: nothing was done, and the client may make the call over HTTP. */
  decline: 3,
  /** From the client {@link ResetHead}: the caller has gone. */
  cancel: 4,
  /** From the server {@link ResetHead}: the call broke off without an answer. */
  reset: 5,
  /**
   * From the server {@link GoAwayHead}: no further calls; those that have begun will be answered. The client closes the connection
   * after them.
   */
  goAway: 6,
  ping: 7,
  pong: 8,
} as const;

export type FrameType = (typeof frameType)[keyof typeof frameType];

export interface HelloHead {
  /** The processes that share the server's port. Each connection leads to one of them. */
  readonly workers: number;
  /** The process that this connection leads to: unique, and the same while it lives. Older servers do not say. */
  readonly worker?: string;
  /** Limits of a request. One beyond them has to be sent over HTTP: on this connection it would end all calls. */
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
}

export interface RequestHead {
  readonly method: string;
  /** The target of the request line, with its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly trailers?: OutgoingHttpHeaders;
}

export interface GoAwayHead {
  /** Whether the server is about to close its port; otherwise the connection is only not needed. */
  readonly isLeaving: boolean;
}

export interface ResetHead {
  /** An error code of HTTP/2 (RFC 9113 7). */
  readonly code: number;
}

export interface Frame {
  readonly type: number;
  readonly id: number;
  /** Decoded JSON, of the shape that the type has if the peer keeps the protocol. */
  readonly head: unknown;
  /** A view of the bytes received. */
  readonly body: Buffer;
}

/** The peer does not keep the protocol, or exceeds a limit: the connection has to be closed. */
export class MuxProtocolError extends Error {
  override readonly name = "MuxProtocolError";
}

/** Length of what follows the prefix (4 bytes), type (1), id (4), length of the head (4). */
const prefixBytes = 13;
const nothing = Buffer.alloc(0);

/** Reads frames from the bytes of a connection. Only frames whose bytes arrive in several pieces are copied. */
export class FrameReader {
  readonly #limits: FrameLimits;
  /** The pieces of a frame that is not complete, and the bytes in them. */
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Returns the frames that are complete. Throws {@link MuxProtocolError}. */
  read(chunk: Buffer): readonly Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    if (this.#bytes > 0) {
      at = this.#fill(chunk, at, prefixBytes);
      if (this.#bytes < prefixBytes) return frames;
      const length = this.#lengthAt(this.#first(), 0);
      at = this.#fill(chunk, at, length);
      if (this.#bytes < length) return frames;
      frames.push(this.#decode(Buffer.concat(this.#pieces)));
      this.#pieces = [];
      this.#bytes = 0;
    }
    while (chunk.byteLength - at >= prefixBytes) {
      const end = at + this.#lengthAt(chunk, at);
      if (end > chunk.byteLength) break;
      frames.push(this.#decode(chunk.subarray(at, end)));
      at = end;
    }
    this.#fill(chunk, at, Number.POSITIVE_INFINITY);
    return frames;
  }

  /** Adds bytes of the chunk until the incomplete frame has `wanted`; returns where the rest of the chunk begins. */
  #fill(chunk: Buffer, at: number, wanted: number): number {
    const end = Math.min(chunk.byteLength, at + Math.max(0, wanted - this.#bytes));
    if (end > at) this.#pieces.push(chunk.subarray(at, end));
    this.#bytes += end - at;
    return end;
  }

  /** The piece that has the whole prefix. */
  #first(): Buffer {
    if (this.#pieces[0]!.byteLength < prefixBytes) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length > this.#limits.maxBytes) throw new MuxProtocolError("a frame is too long");
    return prefixBytes + length;
  }

  #decode(frame: Buffer): Frame {
    const bodyAt = prefixBytes + frame.readUInt32BE(9);
    if (bodyAt > frame.byteLength || bodyAt > prefixBytes + this.#limits.maxHeadBytes) {
      throw new MuxProtocolError("the head of a frame is too long");
    }
    const head = bodyAt === prefixBytes ? undefined : parseHead(frame.toString("utf8", prefixBytes, bodyAt));
    return { type: frame[4]!, id: frame.readUInt32BE(5), head, body: frame.subarray(bodyAt) };
  }
}

export interface FrameLimits {
  /** Of head and body together. */
  readonly maxBytes: number;
  readonly maxHeadBytes: number;
}

function parseHead(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MuxProtocolError("the head of a frame is not JSON", { cause });
  }
}

/** The frames of one turn of the event loop share a buffer of this size; a longer frame gets one of its own. */
const bufferBytes = 65_536;
const maxFreeBuffers = 4;

/**
 * Writes frames: those of one turn of the event loop together, which is what makes them cheap. Buffers are used again once they
 * have been written, since the garbage of large ones costs more than the writing.
 */
export class FrameWriter {
  readonly #write: (bytes: Buffer, written: () => void) => void;
  readonly #free: Buffer[] = [];
  #buffer: Buffer | undefined;
  #bytes = 0;

  /** @param write writes to the connection; `written` may be called at any later time, or never */
  constructor(write: (bytes: Buffer, written: () => void) => void) {
    this.#write = write;
  }

  send(type: FrameType, id = 0, head?: object, body: Uint8Array = nothing): void {
    const text = head === undefined ? "" : JSON.stringify(head);
    const headBytes = Buffer.byteLength(text);
    const length = prefixBytes + headBytes + body.byteLength;
    if (this.#bytes + length > bufferBytes) this.#flush();
    const buffer = this.#buffer ?? this.#take(length);
    const at = this.#bytes;
    buffer.writeUInt32BE(headBytes + body.byteLength, at);
    buffer[at + 4] = type;
    buffer.writeUInt32BE(id, at + 5);
    buffer.writeUInt32BE(headBytes, at + 9);
    buffer.write(text, at + prefixBytes);
    buffer.set(body, at + prefixBytes + headBytes);
    this.#bytes += length;
  }

  #take(length: number): Buffer {
    setImmediate(this.#flush);
    this.#buffer = length > bufferBytes ? Buffer.allocUnsafeSlow(length) : this.#free.pop();
    this.#buffer ??= Buffer.allocUnsafeSlow(bufferBytes);
    return this.#buffer;
  }

  #flush = (): void => {
    const [buffer, bytes] = [this.#buffer, this.#bytes];
    if (buffer === undefined) return;
    this.#buffer = undefined;
    this.#bytes = 0;
    this.#write(buffer.subarray(0, bytes), () => {
      if (buffer.byteLength === bufferBytes && this.#free.length < maxFreeBuffers) this.#free.push(buffer);
    });
  };
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headerName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** Node's own rule for values of headers. */
const unprintable = /[^\t\x20-\x7e\x80-\xff]/;
const visible = /^[\x21-\xff]+$/;

/**
 * Checks the head of a request as strictly as a parser of HTTP would, since later stages rely on that: header names in lower
 * case, and no control characters. Throws {@link MuxProtocolError}.
 */
export function requestHeadOf(head: unknown): RequestHead {
  const { method, path, headers } = (head ?? {}) as Partial<RequestHead>;
  if (typeof method !== "string" || !token.test(method)) throw new MuxProtocolError("the method is malformed");
  if (typeof path !== "string" || !visible.test(path)) throw new MuxProtocolError("the path is malformed");
  if (typeof headers !== "object" || headers === null) throw new MuxProtocolError("there are no headers");
  for (const name in headers) {
    const value: unknown = headers[name];
    if (!headerName.test(name) || !(isValue(value) || (Array.isArray(value) && value.every(isValue)))) {
      throw new MuxProtocolError("a header is malformed");
    }
  }
  return { method, path, headers };
}

function isValue(value: unknown): boolean {
  return typeof value === "string" && !unprintable.test(value);
}
