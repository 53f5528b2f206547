import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes, parseTimeout } from "@connectrpc/connect/protocol-connect";
import { endInOnePiece, type HeldBytes, NodeHeaders } from "@shop/http-port";
import { answerByConnectHandler } from "../protocols/connect-handlers.ts";
import { type Compressible, compressed } from "./compressions.ts";
import { createLazyContext } from "./lazy-context.ts";
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

/** Content types of unary Connect calls; true for the binary one. */
export const isBinary: ReadonlyMap<string | undefined, boolean> = new Map([
  ["application/json", false],
  ["application/json; charset=utf-8", false],
  ["application/proto", true],
]);

/** Whether the fast path can answer a request with these headers. */
export function isUsualConnect(headers: IncomingHttpHeaders, method: UnaryMethod): boolean {
  const { "content-type": type, "content-encoding": encoding, "content-length": length } = headers;
  return (
    isBinary.has(type) &&
    (encoding === undefined || encoding === "identity") &&
    // A body of unknown length, or behind `Expect: 100-continue`, is left to the fallback.
    length !== undefined &&
    Number(length) <= method.options.readMaxBytes &&
    headers.expect === undefined &&
    timeoutOf(headers, method).error === undefined
  );
}

function timeoutOf({ "connect-timeout-ms": text }: IncomingHttpHeaders, { maxTimeoutMs }: UnaryMethod) {
  return text === undefined ? {} : capped(parseTimeout(String(text), maxTimeoutMs), maxTimeoutMs);
}

export interface ConnectAnswer {
  readonly status: number;
  /** With the length of the body. */
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array;
}

/** Authorizes, decodes, invokes and encodes. Never rejects. */
export async function runConnect(method: UnaryMethod, call: UnaryCall): Promise<UnaryOutcome<ConnectAnswer>> {
  const { headers } = call;
  const binary = isBinary.get(headers["content-type"])!;
  const context = createLazyContext({
    method: method.desc,
    protocolName: "connect",
    requestMethod: "POST",
    url: `http://${headers.host}${call.path}`,
    header: new NodeHeaders(headers),
    timeoutMs: timeoutOf(headers, method).timeoutMs,
    onCallerGone: (gone) => call.onCallerGone(gone),
  });
  let status = 200;
  let content: Compressible;
  let type = binary ? "application/proto" : "application/json";
  try {
    await method.admit(context);
    const bytes = await call.readBody();
    const input = bytes && decoded(method, binary, bytes);
    if (input === undefined) {
      context.end();
      return bytes === undefined ? { isGone: true } : { undecoded: bytes };
    }
    content = encoded(method, binary, await method.invoke(context, input));
  } catch (error) {
    const failed = publicError(error);
    status = codeToHttpStatus(failed.code);
    type = "application/json";
    // Of an error received from another service only what its body says is passed on.
    if (!failed.isWireError) mergeNonProtocolHeaders(context.responseHeader, failed.metadata);
    content = { bytes: errorToJsonBytes(failed, method.options.jsonOptions) };
  }
  context.end();
  const head: OutgoingHttpHeaders = { "content-type": type };
  const [body, encoding] = await compressed(content, headers["accept-encoding"]);
  if (encoding !== undefined) head["content-encoding"] = encoding;
  addHeaders(head, context.responseHeader);
  addHeaders(head, context.responseTrailer, "trailer-");
  head["content-length"] = body.byteLength;
  return { answer: { status, headers: head, body } };
}

/**
 * Answers a unary call of the Connect protocol over HTTP/1.1. Resolves when it is answered or the caller has gone; never
 * rejects.
 */
export async function answerConnect(
  method: UnaryMethod,
  request: IncomingMessage,
  response: ServerResponse,
  defaultHeaders: OutgoingHttpHeaders,
  held: HeldBytes,
): Promise<void> {
  const outcome = await runConnect(method, {
    headers: request.headers,
    path: request.url!,
    readBody: () => readBody(request, Number(request.headers["content-length"]), held),
    onCallerGone(gone) {
      if (response.closed) gone();
      else response.once("close", gone);
    },
  });
  if ("undecoded" in outcome) {
    await answerByConnectHandler(method.fallback, request, response, outcome.undecoded, defaultHeaders);
  } else if ("answer" in outcome) {
    const { status, headers, body } = outcome.answer;
    response.writeHead(status, { ...defaultHeaders, ...headers });
    endInOnePiece(response, body);
  }
}

/**
 * The whole body, whose length is known in advance; undefined if the sender goes away before its end. Rejects if the bytes
 * received so far exceed the buffer budget.
 */
function readBody(request: IncomingMessage, length: number, held: HeldBytes): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (body: Buffer | undefined) => {
      held.release();
      resolve(body);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength;
      const kept = bytes < length ? held.keep(chunk) : chunk;
      if (kept !== undefined) return void chunks.push(kept);
      request.off("data", onData).resume();
      held.release();
      reject(held.refusal());
    };
    request.on("data", onData);
    request.on("end", () => settle(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    request.on("error", () => settle(undefined));
    request.on("close", () => settle(undefined));
    if (request.destroyed) settle(undefined);
  });
}
