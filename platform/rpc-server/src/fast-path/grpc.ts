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
import { capped, decoded, encoded, toldOf, type UnaryMethod } from "./unary-method.ts";

/** Before each message: a byte of flags, and its length in four. */
const envelopeBytes = 5;

const isBinaryGrpc: ReadonlySet<string | undefined> = new Set(["application/grpc", "application/grpc+proto"]);

/** Whether these headers ask for nothing but what is answered here. */
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

/** Answers a unary gRPC call on its HTTP/2 stream. Resolves when it is answered, or nobody waits; never rejects. */
export async function answerGrpc(
  method: UnaryMethod,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  said: OutgoingHttpHeaders,
  held: HeldBytes,
): Promise<void> {
  const context = createLazyContext({
    method: method.desc,
    protocolName: "grpc",
    requestMethod: "POST",
    url: `http://${headers[":authority"] ?? headers.host}${headers[":path"]}`,
    header: new NodeHeaders(headers),
    timeoutMs: timeoutOf(headers, method).timeoutMs,
    onCallerGone(tell) {
      if (stream.closed || stream.destroyed) tell();
      else stream.once("close", tell);
    },
  });
  let message: Uint8Array | undefined;
  let encoding: string | undefined;
  let failure: unknown;
  try {
    await method.admit(context);
    const bytes = await readBody(stream, method.options.readMaxBytes, held);
    if (bytes === undefined) return context.end();
    const input = parsed(method, bytes);
    if (input === undefined) {
      context.end();
      const request = guardLike(new Http2ServerRequest(stream, headers, {}, []), stream);
      const response = guardLike(new Http2ServerResponse(stream), stream);
      // What is left of a message that is too large: until its sender is done the answer is not complete.
      if (!stream.readableEnded) discard(stream);
      await answerByConnectHandler(method.fallback, request, response, bytes, said);
      return;
    }
    const output = encoded(method, true, await method.invoke(context, input));
    [message, encoding] = await compressed(output, headers["grpc-accept-encoding"]);
  } catch (error) {
    failure = error;
  }
  context.end();
  if (stream.destroyed || stream.closed) return;
  const head: OutgoingHttpHeaders = {
    ...said,
    ":status": 200,
    "content-type": "application/grpc+proto",
  };
  if (encoding !== undefined) head["grpc-encoding"] = encoding;
  addHeaders(head, context.responseHeader);
  const trailer = trailerOf(context, failure);
  stream.respond(head, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailer));
  if (message === undefined) stream.end();
  else stream.end(enveloped(encoding === undefined ? 0 : compressedFlag, message));
  if (!stream.readableEnded) discard(stream);
}

/**
 * The body, or as much of it as is needed to see that it is too large; undefined when its sender has gone before its end. Rejects
 * when what has come of it can't be kept until the rest has.
 */
function readBody(stream: ServerHttp2Stream, readMaxBytes: number, held: HeldBytes): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    /** What the message's own prefix says, once it is there. */
    let said: number | undefined;
    const settle = (body: Buffer | undefined) => {
      held.release();
      resolve(body);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (said === undefined && bytes >= envelopeBytes) {
        chunks = [joined([...chunks, chunk])];
        said = chunks[0]!.readUInt32BE(1);
        chunk = chunks.pop()!;
      }
      // The last one waits for nothing.
      const kept = said !== undefined && bytes >= said + envelopeBytes ? chunk : held.keep(chunk);
      if (kept === undefined) {
        stream.off("data", onData).pause();
        held.release();
        reject(held.refusal());
        return;
      }
      chunks.push(kept);
      if ((said ?? 0) > readMaxBytes || bytes > readMaxBytes + envelopeBytes) {
        stream.off("data", onData).pause();
        settle(joined(chunks));
      }
    };
    stream.on("data", onData);
    // A stream that was reset ends like one that is complete.
    stream.on("end", () => settle(stream.rstCode === constants.NGHTTP2_NO_ERROR ? joined(chunks) : undefined));
    stream.on("close", () => settle(undefined));
    // Without a body the end may have come while access was checked.
    if (stream.readableEnded) settle(nothing);
    else if (stream.destroyed) settle(undefined);
  });
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

const nothing = Buffer.alloc(0);

/** As Connect's `encodeEnvelope`, but in memory from Node's pool, which costs less than an array of its own. */
function enveloped(flags: number, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(envelopeBytes + message.byteLength);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.byteLength, 1);
  bytes.set(message, envelopeBytes);
  return bytes;
}

/** The one message of a request; undefined for whatever is not one whole message as it should be. */
function parsed(method: UnaryMethod, bytes: Uint8Array): Message | undefined {
  if (bytes.byteLength < envelopeBytes || bytes[0] !== 0) return undefined;
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(1);
  if (length !== bytes.byteLength - envelopeBytes || length > method.options.readMaxBytes) return undefined;
  return decoded(method, true, bytes.subarray(envelopeBytes));
}

const fine: OutgoingHttpHeaders = { "grpc-status": "0" };

function trailerOf(context: LazyContext, failure: unknown): OutgoingHttpHeaders {
  if (failure !== undefined) setTrailerStatus(context.responseTrailer, toldOf(failure));
  if (context.responseTrailer.isUntouched) return fine;
  const trailer = { ...fine };
  addHeaders(trailer, context.responseTrailer);
  return trailer;
}

/** So much of what nobody wants is read before its sender is cut off, who would otherwise never come to read the answer. */
const discardMaxBytes = 1_048_576;

function discard(stream: ServerHttp2Stream): void {
  let left = discardMaxBytes;
  stream.on("data", (chunk: Buffer) => {
    left -= chunk.byteLength;
    if (left < 0 && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
  stream.resume();
}
