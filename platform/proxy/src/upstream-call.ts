import type * as http from "node:http";
import * as http2 from "node:http2";
import { PassThrough, Readable, type Writable } from "node:stream";
import { closeStream } from "@shop/http-port";
import type { Dispatcher } from "undici";
import type { MuxLink, MuxOutcome } from "./mux-link.ts";
import type { Replica } from "./upstream.ts";

/** The head of a request, without hop-by-hop fields, `host` and the body's length; over HTTP/2 with pseudo-headers. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly headers: http.OutgoingHttpHeaders;
  /** Known once the body has ended. */
  trailers(): http.OutgoingHttpHeaders;
}

/** A request on an established connection; nothing of its body has been sent yet. */
export interface UpstreamCall {
  /** For a body that is streamed; undefined over HTTP/1.1 for one that is sent whole. */
  readonly body: Writable | undefined;
  /** Sends the whole body, in one write with the head if the version allows; over HTTP/2 with trailers, if any. */
  send(body: Buffer, trailers: http.OutgoingHttpHeaders): void;
  /** Rejects with {@link UpstreamBroke} if the upstream breaks before its answer begins. */
  readonly answer: Promise<Answer>;
  /** Ends the body. */
  end(trailers: http.OutgoingHttpHeaders): void;
  /** @param code of HTTP/2's RST_STREAM; on HTTP/1.1 the connection is closed */
  cancel(code: number): void;
}

/** The beginning of an answer, whose body is still to be read; or all of it. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** The whole body, or what it is read from. */
  readonly body: Buffer | Readable;
  /** HTTP/2: the header frame ended the stream, as gRPC's trailers-only answers do. */
  readonly headersOnly: boolean;
  /** Known once the body has ended. */
  trailers(): http.IncomingHttpHeaders;
  /** The code of HTTP/2's RST_STREAM, 0 if there was none. */
  resetCode(): number;
}

/** The connection or stream broke before its answer began. */
export class UpstreamBroke extends Error {
  override readonly name = "UpstreamBroke";
  /**
   * Whether to retry. `always`: the upstream certainly did nothing; `if safe`: a reused connection may have been closed before
   * the request arrived.
   */
  readonly retry: "always" | "if safe" | "never";

  constructor(message: string, retry: UpstreamBroke["retry"], cause?: unknown) {
    super(message, { cause });
    this.retry = retry;
  }
}

/** The upstream did nothing, and expects the request over HTTP. */
export class Declined extends Error {
  override readonly name = "Declined";
}

/**
 * Starts a request with a body of this length on a multiplexed connection; undefined if it is too long for that. Its answer rejects
 * with {@link Declined} if the request has to be sent over HTTP.
 */
export function callMux(
  link: MuxLink,
  { method, path, headers }: RequestHead,
  { authority }: Replica,
  length: number,
): UpstreamCall | undefined {
  const head = { method, path, headers: { host: authority, ...withoutPseudoHeaders(headers) } };
  if (!link.carries(head, length)) return undefined;
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  answer.catch(() => {});
  let cancel = (_code: number) => {};
  const ended = (outcome: MuxOutcome) => {
    switch (outcome.kind) {
      case "answered": {
        const { trailers, ...content } = outcome.answer;
        resolve({ ...content, headersOnly: false, trailers: () => trailers, resetCode: () => 0 });
        break;
      }
      case "declined":
        reject(new Declined(`${authority} declined the call`));
        break;
      case "broken":
        reject(new UpstreamBroke(`${authority} broke off the call`, "if safe", outcome.cause));
    }
  };
  return {
    body: undefined,
    answer,
    send(body) {
      cancel = link.call(head, body, ended);
    },
    end() {},
    cancel(code) {
      cancel(code);
      reject(new UpstreamBroke(`the call to ${authority} was given up`, "never"));
    },
  };
}

function withoutPseudoHeaders(headers: http.OutgoingHttpHeaders): http.IncomingHttpHeaders {
  const kept: http.OutgoingHttpHeaders = {};
  for (const name in headers) if (!name.startsWith(":")) kept[name] = headers[name];
  return kept as http.IncomingHttpHeaders;
}

/**
 * The most interim answers (1xx) before the final one. undici closes the connection at 100 and 101, which are never requested.
 */
const maxInterim = 8;

/**
 * Starts a request over HTTP/1.1. Rejects with {@link NotConnected} if no connection can be made. The head is sent with the
 * first byte of the body, and undici alone frames the body, by the length of the given bytes or in chunks. It sends no
 * trailers.
 *
 * @param length of a body that is sent whole; undefined for one that is streamed
 */
export async function callHttp1(
  replica: Replica,
  head: RequestHead,
  length: number | undefined,
): Promise<UpstreamCall> {
  const connection = await replica.http1.take();
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  answer.catch(() => {});
  let body: Readable | undefined;
  let trailers: http.IncomingHttpHeaders = {};
  let interim = 0;
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart() {},
    onResponseStart(controller, status) {
      if (status < 200) {
        if (++interim > maxInterim) connection.close();
        return;
      }
      body = new Readable({ read: () => controller.resume() }).on("error", () => {});
      replica.guard("response", body);
      const headers = headersOf(controller.rawHeaders);
      // With an error it may be this request that the replica does not want to read to its end.
      if (headers.connection === "close" && status < 400) replica.leaving();
      resolve({ status, headers, body, headersOnly: false, trailers: () => trailers, resetCode: () => 0 });
    },
    onResponseData(controller, chunk) {
      if (!body!.push(chunk)) controller.pause();
    },
    onResponseEnd({ rawTrailers }) {
      trailers = headersOf(rawTrailers);
      body!.push(null);
      connection.release();
    },
    onResponseError(_controller, cause) {
      connection.close();
      body?.destroy(cause);
      reject(failureOf(cause, replica, connection.isReused));
    },
  };
  function dispatch(content: Readable | Buffer | null): void {
    const { method, path, headers } = head;
    connection.client.dispatch({ method: method as Dispatcher.HttpMethod, path, headers, body: content }, handler);
  }
  const upload = length === undefined ? new PassThrough().on("error", () => {}) : undefined;
  if (upload !== undefined) {
    replica.guard("request", upload);
    dispatch(upload);
  }
  return {
    body: upload,
    answer,
    send(whole) {
      if (upload !== undefined) upload.end(whole);
      else dispatch(whole.byteLength === 0 ? null : whole);
    },
    end: () => upload?.end(),
    cancel: () => connection.close(),
  };
}

/** undici's codes of requests that it refuses to send: for example with a header that HTTP cannot carry. */
const refused = new Set<string | undefined>(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"]);

function failureOf(cause: NodeJS.ErrnoException, replica: Replica, isReused: boolean): Error {
  // Nothing was sent, and nothing ever can be.
  if (refused.has(cause.code)) return cause;
  return new UpstreamBroke(`${replica.authority} broke the connection`, isReused ? "if safe" : "never", cause);
}

/** As in node:http: latin1, and repeated headers as a list. */
function headersOf(raw: Dispatcher.DispatchController["rawHeaders"]): http.IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  const pairs = (raw ?? []) as readonly Buffer[];
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i]!.toString("latin1").toLowerCase();
    const value = pairs[i + 1]!.toString("latin1");
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

/** Like {@link callHttp1}, over HTTP/2 and with trailers. */
export async function callHttp2(
  replica: Replica,
  head: RequestHead,
  length: number | undefined,
): Promise<UpstreamCall> {
  const mayHaveTrailers = length === undefined;
  const stream = await replica.http2.request(head.headers, {
    endStream: length === 0,
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
    end(trailers) {
      requestTrailers = trailers;
      stream.end();
    },
    cancel: (code) => closeStream(stream, code),
  };
}

/** REFUSED_STREAM, which streams beyond a GOAWAY get, too, means that nothing was processed (RFC 9113 8.7). */
function retryHttp2(stream: http2.ClientHttp2Stream, cause: unknown): UpstreamBroke["retry"] {
  const refused =
    stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ||
    (cause as NodeJS.ErrnoException | undefined)?.code === "ERR_HTTP2_GOAWAY_SESSION";
  return refused ? "always" : "never";
}
