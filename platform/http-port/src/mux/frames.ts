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
  /** From the server: no further calls; those that have begun will be answered. The client closes the connection after them. */
  goAway: 6,
  ping: 7,
  pong: 8,
} as const;

export type FrameType = (typeof frameType)[keyof typeof frameType];

export interface HelloHead {
  /** The processes that share the server's port. Each connection leads to one of them. */
  readonly workers: number;
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

/** One frame: prefix, head in JSON, body. */
function encodeFrame(type: FrameType, id: number, head: object | undefined, body: Uint8Array): Buffer {
  const text = head === undefined ? "" : JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(prefixBytes + headBytes + body.byteLength);
  frame.writeUInt32BE(headBytes + body.byteLength, 0);
  frame[4] = type;
  frame.writeUInt32BE(id, 5);
  frame.writeUInt32BE(headBytes, 9);
  frame.write(text, prefixBytes);
  frame.set(body, prefixBytes + headBytes);
  return frame;
}

/** Reads frames from the bytes of a connection. */
export class FrameReader {
  readonly #limits: FrameLimits;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The bytes needed before anything can be read. */
  #needed = prefixBytes;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Returns the frames that are complete. Throws {@link MuxProtocolError}. */
  read(chunk: Buffer): readonly Frame[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes < this.#needed) return [];
    const data = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const frames: Frame[] = [];
    let at = 0;
    for (;;) {
      this.#needed = prefixBytes;
      if (data.byteLength - at < this.#needed) break;
      this.#needed += data.readUInt32BE(at);
      if (this.#needed > prefixBytes + this.#limits.maxBytes) throw new MuxProtocolError("a frame is too long");
      if (data.byteLength - at < this.#needed) break;
      frames.push(this.#decode(data.subarray(at, at + this.#needed)));
      at += this.#needed;
    }
    this.#chunks = at === data.byteLength ? [] : [data.subarray(at)];
    this.#bytes = data.byteLength - at;
    return frames;
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

/** Writes frames: those of one turn of the event loop together, which is what makes them cheap. */
export class FrameWriter {
  readonly #write: (bytes: Buffer) => void;
  #frames: Buffer[] = [];

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  send(type: FrameType, id = 0, head?: object, body: Uint8Array = nothing): void {
    if (this.#frames.length === 0) setImmediate(this.#flush);
    this.#frames.push(encodeFrame(type, id, head, body));
  }

  #flush = (): void => {
    const frames = this.#frames;
    this.#frames = [];
    this.#write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
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
