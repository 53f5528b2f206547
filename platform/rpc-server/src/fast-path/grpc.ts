import type { OutgoingHttpHeaders } from "node:http";
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import { compressedFlag } from "@connectrpc/connect/protocol";
import { parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { guardLike, type HeldBytes, NodeHeaders } from "@shop/http-port";
import { answerByConnectHandler } from "../protocols/connect-handlers.ts";
import { compressed } from "./compressions.ts";
import { createLazyContext, type LazyContext } from "./lazy-context.ts";
import { addHeaders } from "./outgoing-headers.ts";
import {
  capped,
  decoded,
  encoded,
  publicError,
  type UnaryCall,
  type UnaryMethod,
  type UnaryOutcome,
} from "./unary-method.ts";

/** The prefix of each message: one byte of flags, four of length. */
const envelopeBytes = 5;

export const isBinaryGrpc: ReadonlySet<string | undefined> = new Set(["application/grpc", "application/grpc+proto"]);

/** Whether the fast path can answer a request with these headers. */
export function isUsualGrpc(headers: IncomingHttpHeaders, method: UnaryMethod): boolean {
  const encoding = headers["grpc-encoding"];
  return (
    isBinaryGrpc.has(headers["content-type"]) &&
    (encoding === undefined || encoding === "identity") &&
    headers.expect === undefined &&
    timeoutOf(headers, method).error === undefined
  );
}

function timeoutOf({ "grpc-timeout": text }: IncomingHttpHeaders, { maxTimeoutMs }: UnaryMethod) {
  return text === undefined ? {} : capped(parseTimeout(String(text), maxTimeoutMs), maxTimeoutMs);
}

export interface GrpcAnswer {
  readonly headers: OutgoingHttpHeaders;
  /** The enveloped message; empty for an error. */
  readonly body: Uint8Array;
  readonly trailers: OutgoingHttpHeaders;
}

/** Authorizes, decodes, invokes and encodes. Never rejects. */
export async function runGrpc(method: UnaryMethod, call: UnaryCall): Promise<UnaryOutcome<GrpcAnswer>> {
  const { headers } = call;
  const context = createLazyContext({
    method: method.desc,
    protocolName: "grpc",
    requestMethod: "POST",
    url: `http://${headers[":authority"] ?? headers.host}${call.path}`,
    header: new NodeHeaders(headers),
    timeoutMs: timeoutOf(headers, method).timeoutMs,
    onCallerGone: (gone) => call.onCallerGone(gone),
  });
  let message: Uint8Array | undefined;
  let encoding: string | undefined;
  let failure: unknown;
  try {
    await method.admit(context);
    const bytes = await call.readBody();
    const input = bytes && parsed(method, bytes);
    if (input === undefined) {
      context.end();
      return bytes === undefined ? { isGone: true } : { undecoded: bytes };
    }
    const output = encoded(method, true, await method.invoke(context, input));
    [message, encoding] = await compressed(output, headers["grpc-accept-encoding"]);
  } catch (error) {
    failure = error;
  }
  context.end();
  const head: OutgoingHttpHeaders = { "content-type": "application/grpc+proto" };
  if (encoding !== undefined) head["grpc-encoding"] = encoding;
  addHeaders(head, context.responseHeader);
  const body = message === undefined ? nothing : enveloped(encoding === undefined ? 0 : compressedFlag, message);
  return { answer: { headers: head, body, trailers: trailerOf(context, failure) } };
}

/** Answers a unary gRPC call on its HTTP/2 stream. Resolves when it is answered or the caller has gone; never rejects. */
export async function answerGrpc(
  method: UnaryMethod,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  defaultHeaders: OutgoingHttpHeaders,
  held: HeldBytes,
): Promise<void> {
  const outcome = await runGrpc(method, {
    headers,
    path: String(headers[":path"]),
    readBody: () => readBody(stream, method.options.readMaxBytes, held),
    onCallerGone(gone) {
      if (stream.closed || stream.destroyed) gone();
      else stream.once("close", gone);
    },
  });
  if ("undecoded" in outcome) {
    const request = guardLike(new Http2ServerRequest(stream, headers, {}, []), stream);
    const response = guardLike(new Http2ServerResponse(stream), stream);
    // Drain the rest of a message that is too large: the answer is not complete until the sender is done.
    if (!stream.readableEnded) discard(stream);
    await answerByConnectHandler(method.fallback, request, response, outcome.undecoded, defaultHeaders);
    return;
  }
  if (!("answer" in outcome) || stream.destroyed || stream.closed) return;
  const { headers: head, body, trailers } = outcome.answer;
  stream.respond({ ...defaultHeaders, ":status": 200, ...head }, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  if (body.byteLength === 0) stream.end();
  else stream.end(body);
  if (!stream.readableEnded) discard(stream);
}

/**
 * The body, or the part of it that shows it to be too large; undefined if the sender goes away before its end. Rejects if the
 * bytes received so far exceed the buffer budget.
 */
function readBody(stream: ServerHttp2Stream, readMaxBytes: number, held: HeldBytes): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    /** The message length according to its prefix, once the prefix has arrived. */
    let announced: number | undefined;
    const settle = (body: Buffer | undefined) => {
      held.release();
      resolve(body);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (announced === undefined && bytes >= envelopeBytes) {
        chunks = [joined([...chunks, chunk])];
        announced = chunks[0]!.readUInt32BE(1);
        chunk = chunks.pop()!;
      }
      // The last chunk is not buffered: the message is complete.
      const kept = announced !== undefined && bytes >= announced + envelopeBytes ? chunk : held.keep(chunk);
      if (kept === undefined) {
        stream.off("data", onData).pause();
        held.release();
        reject(held.refusal());
        return;
      }
      chunks.push(kept);
      if ((announced ?? 0) > readMaxBytes || bytes > readMaxBytes + envelopeBytes) {
        stream.off("data", onData).pause();
        settle(joined(chunks));
      }
    };
    stream.on("data", onData);
    // A reset stream emits 'end' like a complete one.
    stream.on("end", () => settle(stream.rstCode === constants.NGHTTP2_NO_ERROR ? joined(chunks) : undefined));
    stream.on("close", () => settle(undefined));
    // Without a body the stream may have ended during authorization.
    if (stream.readableEnded) settle(nothing);
    else if (stream.destroyed) settle(undefined);
  });
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

const nothing = Buffer.alloc(0);

/** Like Connect's `encodeEnvelope`, but allocates from Node's buffer pool, which is cheaper than a separate array. */
function enveloped(flags: number, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(envelopeBytes + message.byteLength);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.byteLength, 1);
  bytes.set(message, envelopeBytes);
  return bytes;
}

/** The single message of a request; undefined if the bytes are not exactly one valid, uncompressed envelope. */
function parsed(method: UnaryMethod, bytes: Uint8Array): Message | undefined {
  if (bytes.byteLength < envelopeBytes || bytes[0] !== 0) return undefined;
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(1);
  if (length !== bytes.byteLength - envelopeBytes || length > method.options.readMaxBytes) return undefined;
  return decoded(method, true, bytes.subarray(envelopeBytes));
}

const ok: OutgoingHttpHeaders = { "grpc-status": "0" };

function trailerOf(context: LazyContext, failure: unknown): OutgoingHttpHeaders {
  if (failure !== undefined) setTrailerStatus(context.responseTrailer, publicError(failure));
  if (context.responseTrailer.isUntouched) return ok;
  const trailer = { ...ok };
  addHeaders(trailer, context.responseTrailer);
  return trailer;
}

/**
 * How much of an unwanted body is read before the stream is closed. A sender that is cut off earlier may never read the answer.
 */
const discardMaxBytes = 1_048_576;

function discard(stream: ServerHttp2Stream): void {
  let left = discardMaxBytes;
  stream.on("data", (chunk: Buffer) => {
    left -= chunk.byteLength;
    if (left < 0 && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
  stream.resume();
}
