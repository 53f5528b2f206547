import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { drain, endInOnePiece, type HeldBytes, hasBody, NodeHeaders } from "@shop/http-port";
import type { RestHeaders } from "./headers.ts";
import type { RestTarget } from "./target.ts";
import type { RestResponse, RestResult, Transcoder } from "./transcoder.ts";

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

/** Shared: a new error per call would cost more than most calls. */
const callerGone = new ConnectError("the caller has gone", Code.Canceled);

/**
 * Answers a request of node:http or node:http2 with the transcoder. Resolves when the response is written or its reader has
 * gone; never rejects.
 *
 * @param defaultHeaders headers that the answer has unless it sets them itself
 * @param target the transcoder's result for the request line, if the host has it already
 * @param held counts buffered bytes of the body; unlimited if absent
 */
export async function handleNodeRequest(
  transcoder: Transcoder,
  request: NodeRequest,
  response: NodeResponse,
  defaultHeaders: RestHeaders = {},
  target: RestTarget = transcoder.target(request.method ?? "GET", request.url ?? "/"),
  held?: HeldBytes,
): Promise<void> {
  let abort: AbortController | undefined;
  // Not response.writableFinished, which is true for an HTTP/2 stream that its caller reset.
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
  await write(
    request,
    response,
    { ...answer, headers: { ...defaultHeaders, ...answer.headers } },
    transcoder.readMaxBytes,
  );
  answered = true;
}

/** Answers a request for a unary method like handleNodeRequest, with an available result. */
export function answerNodeRequest(
  transcoder: Transcoder,
  request: NodeRequest,
  response: NodeResponse,
  defaultHeaders: RestHeaders,
  target: RestTarget,
  result: RestResult,
): void {
  const method = request.method ?? "GET";
  const answer = transcoder.respond({ method, target, headers: new NodeHeaders(request.headers) }, result);
  void write(
    request,
    response,
    { ...answer, headers: { ...defaultHeaders, ...answer.headers } },
    transcoder.readMaxBytes,
  );
}

/**
 * The chunks of a body. Node's own iterator destroys the socket if reading stops early, although an answer is still due, and
 * for a small body costs as much as the rest of a request. This one has no backpressure: read it without delay.
 */
function bodyOf(request: NodeRequest, held: HeldBytes | undefined): AsyncIterable<Uint8Array> | null {
  if (!hasBody(request)) return null;
  return { [Symbol.asyncIterator]: () => chunksOf(request, held) };
}

function chunksOf(request: NodeRequest, held: HeldBytes | undefined): AsyncIterator<Uint8Array> {
  const isBroken = () => request.destroyed || request.aborted;
  const chunks: Uint8Array[] = [];
  // The caller may have gone during authorization; its events are not emitted again.
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
    // A reset HTTP/2 stream ends like a complete one, and half a body must not look whole.
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
  // Both classes have the same methods here, but TypeScript can't unite their overloads.
  const out = response as ServerResponse;
  const unread = !request.complete && hasBody(request);
  const isHttp1 = request.httpVersionMajor === 1;
  // The rest of a small body does not justify closing the connection.
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
    // HTTP/1.1 closes the connection after the response; HTTP/2 accepts the rest of the request after it.
    if (unread && isHttp1) await drain(request);
    out.end();
    if (unread && !isHttp1) await drain(request);
  } catch {
    // The status was already sent, or a handler set a header that HTTP can't carry: abort.
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
