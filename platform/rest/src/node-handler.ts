import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { drain, endInOnePiece, type HeldBytes, hasBody, NodeHeaders } from "@shop/http-port";
import type { RestHeaders } from "./headers.ts";
import type { RestTarget } from "./target.ts";
import type { RestResponse, RestResult, Transcoder } from "./transcoder.ts";

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

/** Made once: a reason of its own for every call costs more than most calls. */
const callerGone = new ConnectError("the caller has gone", Code.Canceled);

/**
 * Answers a request of node:http or node:http2 with the transcoder. Resolves when the response is written or its
 * reader is gone; never rejects.
 *
 * @param said what every answer says in headers, unless this one says otherwise
 * @param target what the transcoder finds by the request's first line, for a host that has asked
 * @param held counts what has come of a body; without it that is not limited
 */
export async function handleNodeRequest(
  transcoder: Transcoder,
  request: NodeRequest,
  response: NodeResponse,
  said: RestHeaders = {},
  target: RestTarget = transcoder.target(request.method ?? "GET", request.url ?? "/"),
  held?: HeldBytes,
): Promise<void> {
  let abort: AbortController | undefined;
  // Not response.writableFinished: of an HTTP/2 stream that its caller reset it says true.
  let answered = false;
  let gone = false;
  response.once("close", () => {
    gone = !answered;
    if (gone) abort?.abort(callerGone);
  });
  const answer = await transcoder.handle({
    method: request.method ?? "GET",
    target,
    headers: new NodeHeaders(request.headers),
    body: bodyOf(request, held),
    get signal() {
      abort ??= new AbortController();
      if (gone) abort.abort(callerGone);
      return abort.signal;
    },
  });
  await write(request, response, { ...answer, headers: { ...said, ...answer.headers } }, transcoder.readMaxBytes);
  answered = true;
}

/** Answers a request for a unary method as handleNodeRequest does, with a result that is there. */
export function answerNodeRequest(
  transcoder: Transcoder,
  request: NodeRequest,
  response: NodeResponse,
  said: RestHeaders,
  target: RestTarget,
  result: RestResult,
): void {
  const method = request.method ?? "GET";
  const answer = transcoder.respond({ method, target, headers: new NodeHeaders(request.headers) }, result);
  void write(request, response, { ...answer, headers: { ...said, ...answer.headers } }, transcoder.readMaxBytes);
}

/**
 * The chunks of a body. Node's own iterator destroys the socket of whoever stops reading, though an answer is still
 * due, and for a small body costs as much as the rest of a request. Nothing slow may read this one: it does not hold
 * the sender back.
 */
function bodyOf(request: NodeRequest, held: HeldBytes | undefined): AsyncIterable<Uint8Array> | null {
  if (!hasBody(request)) return null;
  return { [Symbol.asyncIterator]: () => chunksOf(request, held) };
}

function chunksOf(request: NodeRequest, held: HeldBytes | undefined): AsyncIterator<Uint8Array> {
  const isBroken = () => request.destroyed || request.aborted;
  const chunks: Uint8Array[] = [];
  // The caller may have gone while access was checked; its events will not come again.
  let state: "open" | "ended" | "broken" | "refused" = isBroken() ? "broken" : "open";
  let wake = () => {};
  const onData = (chunk: Buffer) => {
    const kept = held === undefined ? chunk : held.keep(chunk);
    if (kept === undefined) {
      state = "refused";
      chunks.length = 0;
      stop();
    } else chunks.push(kept);
    wake();
  };
  const onEnd = () => {
    // A reset HTTP/2 stream ends like a complete one, and half a body must not pass for a whole.
    state = isBroken() ? "broken" : "ended";
    held?.release();
    wake();
  };
  const onBreak = () => {
    if (state === "open") state = "broken";
    held?.release();
    wake();
  };
  const stop = () => {
    request.off("data", onData).off("end", onEnd).off("close", onBreak);
    request.pause();
    held?.release();
  };
  request.on("data", onData).on("end", onEnd).on("error", onBreak).on("close", onBreak);
  return {
    async next() {
      while (chunks.length === 0 && state === "open")
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      const value = chunks.shift();
      if (value !== undefined) return { done: false, value };
      if (state === "refused") throw held!.refusal();
      if (state === "broken") throw new ConnectError("the request broke off", Code.Canceled);
      return { done: true, value };
    },
    async return() {
      stop();
      return { done: true, value: undefined };
    },
  };
}

async function write(
  request: NodeRequest,
  response: NodeResponse,
  { status, headers, body }: RestResponse,
  readMaxBytes: number,
): Promise<void> {
  // Both classes have the same methods here, but their overloads do not unite.
  const out = response as ServerResponse;
  const unread = !request.complete && hasBody(request);
  const isHttp1 = request.httpVersionMajor === 1;
  // What is left of a small body is no reason to give up a connection.
  if (unread && isHttp1 && !(Number(request.headers["content-length"]) <= readMaxBytes)) headers.connection = "close";
  try {
    out.writeHead(status, headers);
    if (body instanceof Uint8Array) {
      if (!unread) {
        if (isHttp1) endInOnePiece(out, body);
        else out.end(body);
        return;
      }
      out.write(body);
    } else {
      for await (const chunk of body) {
        if (out.destroyed) return;
        if (!out.write(chunk)) await writable(response);
      }
    }
    // HTTP/1.1 ends the connection with the response; HTTP/2 has room for the rest of the request after it.
    if (unread && isHttp1) await drain(request);
    out.end();
    if (unread && !isHttp1) await drain(request);
  } catch {
    // The status is sent, or a handler set a header that HTTP cannot carry: all that is left is to break off.
    out.destroy();
  }
}

function writable(response: NodeResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}
