import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { AnyRequest, AnyResponse } from "@shop/http-port";

/** gRPC-Web in base64, for browsers' XMLHttpRequest (grpc/doc/PROTOCOL-WEB.md). */
const textType = /^application\/grpc-web-text(\+\w+)?(?=\s*(?:;|$))/i;
const textAccepted = /(?:^|,)\s*application\/grpc-web-text(?:\+\w+)?\s*(?:[;,]|$)/i;
const binaryAccepted = /(?:^|,)\s*application\/grpc-web(?:\+\w+)?\s*(?:[;,]|$)/i;

/** Whether a request is gRPC-Web in text mode. */
export function isGrpcWebText({ headers }: Pick<AnyRequest, "headers">): boolean {
  return textType.test(headers["content-type"] ?? "");
}

/**
 * Converts a request in text mode to binary mode for the handlers of that mode: decodes its body as it is read, and encodes the
 * answer as it is written. Call it before anything is read or answered. An answer that is not gRPC-Web is left unchanged.
 */
export function answerAsBinary(request: AnyRequest, response: AnyResponse): void {
  const { headers } = request;
  const accept = String(headers.accept ?? "");
  const binary = (type: string) => type.replace(textType, (_, suffix = "+proto") => `application/grpc-web${suffix}`);
  headers["content-type"] = binary(headers["content-type"] ?? "");
  if (headers.accept !== undefined)
    headers.accept = accept
      .split(",")
      .map((type) => binary(type.trim()))
      .join(", ");
  if (headers["content-length"] !== undefined && headers["content-length"] !== "0") {
    // The decoded length is only known at the end.
    delete headers["content-length"];
    if (request.httpVersionMajor === 1) headers["transfer-encoding"] = "chunked";
  }
  decodeBody(request);
  if (textAccepted.test(accept) || !binaryAccepted.test(accept)) encodeAnswer(response as ServerResponse);
}

/** Node passes each received chunk to `push`, in both versions of HTTP. */
function decodeBody(request: AnyRequest): void {
  const push = request.push.bind(request);
  const decoder = new Base64Decoder();
  request.push = (chunk: Buffer | null) => {
    const decoded = chunk === null ? decoder.end() : decoder.decode(chunk);
    if (decoded.byteLength === 0 && chunk !== null) return true;
    const mayPush = decoded.byteLength === 0 || push(decoded);
    return chunk === null ? push(null) : mayPush;
  };
}

/** An incomplete envelope, which the handlers refuse. */
const halfEnvelope = Buffer.of(0);
const nothing = Buffer.alloc(0);
const padded = /^[A-Za-z0-9+/]*={0,2}$/;
const lastQuad = /^(?:[A-Za-z0-9+/]{2,3})?$/;

/**
 * Decodes base64 in chunks. Each chunk may have its own padding, and may end in the middle of a group of four characters. After
 * invalid base64 nothing more is decoded, and the output ends inside an envelope, so that the handlers refuse it.
 */
class Base64Decoder {
  readonly #envelopes = new EnvelopeCounter();
  #rest = "";
  #isBroken = false;

  decode(chunk: Buffer): Buffer {
    if (this.#isBroken) return nothing;
    const text = this.#rest + chunk.toString("latin1");
    const end = text.length - (text.length % 4);
    const whole = text.slice(0, end);
    this.#rest = text.slice(end);
    const pieces = whole.split(/(?<==)(?!=)/);
    if (!pieces.every((piece) => piece.length % 4 === 0 && padded.test(piece))) return this.#break();
    return this.#count(Buffer.concat(pieces.map((piece) => Buffer.from(piece, "base64"))));
  }

  /** The rest at the end; its padding may be missing. */
  end(): Buffer {
    if (this.#isBroken) return nothing;
    return lastQuad.test(this.#rest) ? this.#count(Buffer.from(this.#rest, "base64")) : this.#break();
  }

  #count(bytes: Buffer): Buffer {
    this.#envelopes.pass(bytes);
    return bytes;
  }

  #break(): Buffer {
    this.#isBroken = true;
    return this.#envelopes.isBetween ? halfEnvelope : nothing;
  }
}

/** The prefix of each message: one byte of flags, four of length. */
const prefixBytes = 5;

/** Tracks whether the bytes so far end on an envelope boundary. */
class EnvelopeCounter {
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixSeen = 0;
  #messageLeft = 0;

  get isBetween(): boolean {
    return this.#prefixSeen === 0 && this.#messageLeft === 0;
  }

  pass(bytes: Buffer): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const passing = Math.min(this.#messageLeft, bytes.byteLength - at);
      this.#messageLeft -= passing;
      at += passing;
      if (at === bytes.byteLength) return;
      this.#prefix[this.#prefixSeen++] = bytes[at++]!;
      if (this.#prefixSeen < prefixBytes) continue;
      this.#prefixSeen = 0;
      this.#messageLeft = this.#prefix.readUInt32BE(1);
    }
  }
}

/** Each written chunk is padded separately, so that none waits for the next. */
function encodeAnswer(response: ServerResponse): void {
  const { writeHead, setHeader, write, end } = response;
  let isText = false;

  function toText(name: string, value: OutgoingHttpHeader): OutgoingHttpHeader {
    if (name.toLowerCase() !== "content-type") return value;
    const type = String(value);
    isText = /^application\/grpc-web(?!-)/i.test(type);
    return type.replace(
      /^application\/grpc-web(\+\w+)?(?![\w+-])/i,
      (_, suffix = "+proto") => `application/grpc-web-text${suffix}`,
    );
  }
  function encoded(chunk: string | Uint8Array, encoding: unknown): string {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding as BufferEncoding) : Buffer.from(chunk);
    return bytes.toString("base64");
  }

  response.setHeader = (name: string, value: number | string | readonly string[]) =>
    // The encoded length is not known yet.
    name.toLowerCase() === "content-length"
      ? response
      : setHeader.call(response, name, toText(name, value as OutgoingHttpHeader));
  response.writeHead = ((status: number, headers: OutgoingHttpHeaders = {}) => {
    for (const name in headers) response.setHeader(name, headers[name] as string);
    return writeHead.call(response, status);
  }) as ServerResponse["writeHead"];
  response.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
    if (!isText) return (write as (...all: unknown[]) => boolean).call(response, chunk, ...rest);
    return write.call(response, encoded(chunk, rest[0]), "latin1", rest.find(isFunction));
  }) as ServerResponse["write"];
  response.end = ((...given: unknown[]) => {
    const [chunk, encoding] = given;
    if (!isText || chunk === undefined || chunk === null || isFunction(chunk)) {
      return (end as (...all: unknown[]) => ServerResponse).apply(response, given);
    }
    // Two calls: `end(chunk)` of an HTTP/2 response would call our replaced `write`.
    response.write(chunk as Uint8Array, encoding as BufferEncoding);
    return (end as (callback?: () => void) => ServerResponse).call(response, given.find(isFunction));
  }) as ServerResponse["end"];
}

type Callback = (error?: Error | null) => void;

function isFunction(value: unknown): value is Callback & (() => void) {
  return typeof value === "function";
}
