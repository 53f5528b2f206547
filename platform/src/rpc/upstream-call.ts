import * as http from "node:http";
import * as http2 from "node:http2";
import type { Readable, Writable } from "node:stream";
import { closeStream } from "./close-stream.ts";
import { endInOnePiece } from "./end-in-one-piece.ts";
import { NotConnected } from "./http2-sessions.ts";
import type { Replica } from "./upstream.ts";

/** What is sent ahead of the body. Hop-by-hop fields and `host` are not among the headers; over HTTP/2 the pseudo-headers are. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly headers: http.OutgoingHttpHeaders;
  readonly hasBody: boolean;
  /** HTTP/1.1: the length of the body is not known ahead. */
  readonly chunked: boolean;
}

/** A request under way over a connection that stands; nothing of its body has been sent yet. */
export interface UpstreamCall {
  readonly body: Writable;
  /** Sends the whole body, in one piece with the head where the version allows. */
  send(body: Buffer, trailers: http.OutgoingHttpHeaders): void;
  /** Rejects with {@link UpstreamBroke} if the upstream breaks before its answer begins. */
  readonly answer: Promise<Answer>;
  /** Sends the head now, for a body that is slow to come. */
  flush(): void;
  /** Ends the body. */
  end(trailers: http.OutgoingHttpHeaders): void;
  /** @param code of HTTP/2's RST_STREAM; on HTTP/1.1 the connection is closed */
  cancel(code: number): void;
}

/** The beginning of an answer; its body is still to be read. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Readable;
  /** HTTP/2: the header frame ended the stream, as gRPC's trailers-only answers do. */
  readonly headersOnly: boolean;
  /** Known once the body has ended. */
  trailers(): http.IncomingHttpHeaders;
  /** The code of HTTP/2's RST_STREAM, 0 if there was none. */
  resetCode(): number;
}

/** The upstream broke before its answer began. */
export class UpstreamBroke extends Error {
  override readonly name = "UpstreamBroke";
  /** `always`: it certainly did nothing; `if safe`: a kept connection may have been closed before the request came. */
  readonly retry: "always" | "if safe" | "never";

  constructor(message: string, retry: UpstreamBroke["retry"], cause?: unknown) {
    super(message, { cause });
    this.retry = retry;
  }
}

/** Rejects with {@link NotConnected} if there is no connection to be had. */
export async function callHttp1(replica: Replica, head: RequestHead): Promise<UpstreamCall> {
  const request = http.request({
    agent: replica.http1,
    host: replica.hostname,
    port: replica.port,
    method: head.method,
    path: head.path,
    timeout: replica.answerTimeoutMs,
    headers: {
      ...head.headers,
      host: replica.authority,
      // Said aloud: for methods that rarely have a body Node would send one without any framing.
      ...(head.chunked ? { "transfer-encoding": "chunked" } : {}),
    },
  });
  replica.guard("request", request);
  const answer = new Promise<Answer>((resolve, reject) => {
    let begun = false;
    const broke = (cause?: unknown) => {
      if (begun) return;
      const retry = request.reusedSocket ? "if safe" : "never";
      reject(new UpstreamBroke(`${replica.authority} broke the connection`, retry, cause));
    };
    request.on("error", broke).on("close", broke);
    request.on("timeout", () => request.destroy(new Error(`nothing moved for ${replica.answerTimeoutMs} ms`)));
    request.on("response", (response) => {
      replica.guard("response", response);
      begun = true;
      // Once the answer has begun it may be a stream, and take its time.
      request.setTimeout(0);
      resolve({
        status: response.statusCode ?? 502,
        headers: response.headers,
        body: response,
        headersOnly: false,
        trailers: () => response.trailers,
        resetCode: () => 0,
      });
    });
  });
  answer.catch(() => {});
  // One that was kept stands already.
  if (!request.reusedSocket) await connected(request, replica);
  return {
    body: request,
    answer,
    send(body, trailers) {
      request.addTrailers(trailers as http.OutgoingHttpHeaders & readonly [string, string][]);
      endInOnePiece(request, body);
    },
    flush: () => request.flushHeaders(),
    end(trailers) {
      request.addTrailers(trailers as http.OutgoingHttpHeaders & readonly [string, string][]);
      request.end();
    },
    cancel: () => request.destroy(),
  };
}

function connected(request: http.ClientRequest, replica: Replica): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new NotConnected(`no HTTP/1.1 connection to ${replica.authority}`, { cause }));
    request.once("error", fail);
    request.once("socket", (socket) => {
      if (!socket.connecting) return resolve();
      const deadline = setTimeout(() => request.destroy(new Error("timed out")), replica.connectTimeoutMs);
      socket.once("close", () => clearTimeout(deadline));
      socket.once("connect", () => {
        clearTimeout(deadline);
        request.off("error", fail);
        resolve();
      });
    });
  });
}

/** Rejects with {@link NotConnected} if there is no connection to be had. */
export async function callHttp2(replica: Replica, head: RequestHead, mayHaveTrailers: boolean): Promise<UpstreamCall> {
  const stream = await replica.http2.request(head.headers, {
    endStream: !head.hasBody,
    waitForTrailers: mayHaveTrailers,
  });
  let requestTrailers: http.OutgoingHttpHeaders = {};
  let responseTrailers: http.IncomingHttpHeaders = {};
  if (mayHaveTrailers) stream.on("wantTrailers", () => stream.sendTrailers(requestTrailers));
  stream.on("trailers", (trailers) => {
    responseTrailers = trailers;
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    let begun = false;
    const broke = (cause?: unknown) => {
      if (begun) return;
      reject(new UpstreamBroke(`${replica.authority} reset the stream`, retryHttp2(stream, cause), cause));
    };
    stream.on("error", broke).on("close", broke);
    stream.on("response", (headers, flags) => {
      begun = true;
      resolve({
        status: headers[":status"] ?? 502,
        headers,
        body: stream,
        headersOnly: (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0,
        trailers: () => responseTrailers,
        resetCode: () => stream.rstCode ?? 0,
      });
    });
  });
  answer.catch(() => {});
  return {
    body: stream,
    answer,
    send(body, trailers) {
      requestTrailers = trailers;
      if (body.byteLength === 0) stream.end();
      else stream.end(body);
    },
    flush() {},
    end(trailers) {
      requestTrailers = trailers;
      stream.end();
    },
    cancel: (code) => closeStream(stream, code),
  };
}

/** REFUSED_STREAM, also given to streams beyond a GOAWAY, means that nothing was processed (RFC 9113 8.7). */
function retryHttp2(stream: http2.ClientHttp2Stream, cause: unknown): UpstreamBroke["retry"] {
  const refused =
    stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ||
    (cause as NodeJS.ErrnoException | undefined)?.code === "ERR_HTTP2_GOAWAY_SESSION";
  return refused ? "always" : "never";
}
