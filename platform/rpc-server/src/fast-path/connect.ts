import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes, parseTimeout } from "@connectrpc/connect/protocol-connect";
import { endInOnePiece, type HeldBytes, NodeHeaders } from "@shop/http-port";
import { answerByConnectHandler } from "../protocols/connect-handlers.ts";
import { type Compressible, compressed } from "./compressions.ts";
import { createLazyContext } from "./lazy-context.ts";
import { addHeaders } from "./outgoing-headers.ts";
import { capped, decoded, encoded, toldOf, type UnaryMethod } from "./unary-method.ts";

/** Whether a message is binary, by the types that a unary call of the Connect protocol has. */
const isBinary: Readonly<Record<string, boolean | undefined>> = {
  "application/json": false,
  "application/json; charset=utf-8": false,
  "application/proto": true,
};

/** Whether these headers ask for nothing but what is answered here. */
export function isUsualConnect(headers: IncomingHttpHeaders, method: UnaryMethod): boolean {
  const { "content-type": type, "content-encoding": encoding, "content-length": length } = headers;
  return (
    isBinary[type ?? ""] !== undefined &&
    (encoding === undefined || encoding === "identity") &&
    // Of a body of unknown length, or one that waits to be asked for, others know more.
    length !== undefined &&
    Number(length) <= method.options.readMaxBytes &&
    headers.expect === undefined &&
    timeoutOf(headers, method).error === undefined
  );
}

function timeoutOf({ "connect-timeout-ms": text }: IncomingHttpHeaders, { maxTimeoutMs }: UnaryMethod) {
  return text === undefined ? {} : capped(parseTimeout(String(text), maxTimeoutMs), maxTimeoutMs);
}

/** Answers a unary call of the Connect protocol over HTTP/1.1. Resolves when it is answered, or nobody waits; never rejects. */
export async function answerConnect(
  method: UnaryMethod,
  request: IncomingMessage,
  response: ServerResponse,
  said: OutgoingHttpHeaders,
  held: HeldBytes,
): Promise<void> {
  const { headers } = request;
  const binary = isBinary[headers["content-type"]!]!;
  const context = createLazyContext({
    method: method.desc,
    protocolName: "connect",
    requestMethod: "POST",
    url: `http://${headers.host}${request.url}`,
    header: new NodeHeaders(headers),
    timeoutMs: timeoutOf(headers, method).timeoutMs,
    onCallerGone(tell) {
      if (response.closed) tell();
      else response.once("close", tell);
    },
  });
  let status = 200;
  let body: Compressible;
  let type = binary ? "application/proto" : "application/json";
  try {
    await method.admit(context);
    const bytes = await readBody(request, Number(headers["content-length"]), held);
    if (bytes === undefined) return context.end();
    const input = decoded(method, binary, bytes);
    if (input === undefined) {
      context.end();
      return await answerByConnectHandler(method.fallback, request, response, bytes, said);
    }
    body = encoded(method, binary, await method.invoke(context, input));
  } catch (error) {
    const told = toldOf(error);
    status = codeToHttpStatus(told.code);
    type = "application/json";
    // Another service's words are its own: only what it says in the body is passed on.
    if (!told.isWireError) mergeNonProtocolHeaders(context.responseHeader, told.metadata);
    body = { bytes: errorToJsonBytes(told, method.options.jsonOptions) };
  }
  context.end();
  const head: OutgoingHttpHeaders = { ...said, "content-type": type };
  const [bytes, encoding] = await compressed(body, headers["accept-encoding"]);
  if (encoding !== undefined) head["content-encoding"] = encoding;
  addHeaders(head, context.responseHeader);
  addHeaders(head, context.responseTrailer, "trailer-");
  head["content-length"] = bytes.byteLength;
  response.writeHead(status, head);
  endInOnePiece(response, bytes);
}

/**
 * The whole body, whose length was said ahead; undefined when its sender has gone before its end. Rejects when what has come of it
 * can't be kept until the rest has.
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
