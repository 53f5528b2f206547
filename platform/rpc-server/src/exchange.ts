import type * as http from "node:http";
import * as http2 from "node:http2";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { ConnectError } from "@connectrpc/connect";
import {
  type AnyRequest,
  type AnyResponse,
  type Connection,
  closeStream,
  contain,
  discardBody,
  endInOnePiece,
  guardLike,
  hasBody,
  streamHasBody,
} from "@shop/http-port";
import { writeMethodNotAllowed, writeProtocolError } from "./protocols/protocol-error.ts";

/** One request and its answer, independent of the version of HTTP. */
export interface Exchange {
  readonly httpVersion: 1 | 2;
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  /** The remote end of the connection. */
  readonly peer: Pick<Socket, "remoteAddress">;
  /** The connection's identity; undefined once it is closed. */
  readonly connection: Connection;
  readonly hasBody: boolean;
  readonly body: Readable;
  /** The request's trailers; complete once its body has ended. */
  readonly trailers: http.IncomingHttpHeaders;
  /**
   * Calls `listener` when the exchange has ended or the caller has gone (at once if it already has), with the code of RST_STREAM
   * or 0.
   */
  onClose(listener: (resetCode: number) => void): void;
  /** The HTTP status and gRPC status that were sent; undefined for those that were not. */
  readonly sent: { readonly status: number | undefined; readonly grpcStatus: string | undefined };
  /** Sends the whole answer. */
  answer(status: number, headers: http.OutgoingHttpHeaders, body: Buffer, trailers: http.OutgoingHttpHeaders): void;
  /**
   * Begins an answer. Bytes written before the next turn of the event loop are sent together with the head. Returns the stream
   * for the body.
   */
  begin(status: number, headers: http.OutgoingHttpHeaders): Writable;
  /** Ends an answer started by `begin`. */
  end(trailers: http.OutgoingHttpHeaders): void;
  /** Answers with an error in the protocol of the request. Does nothing if the client has gone. */
  refuse(error: ConnectError): void;
  /** Answers 405 with `Allow` and no body, as RPC protocols do. */
  refuseMethod(allowed: readonly string[]): void;
  /** Aborts the exchange, over HTTP/2 with this code: the only way to report a failure once the answer has begun. */
  reset(code: number): void;
  /** Discards the rest of the request body after the answer. */
  discardBody(): void;
  /** Headers that every answer has unless it sets them itself. */
  readonly defaultHeaders: DefaultHeaders;
  /** The HTTP/2 stream itself; undefined if Node has created request and response objects. */
  readonly stream: http2.ServerHttp2Stream | undefined;
  /** Node's request and response, for code that needs them. Call it before reading or answering anything. */
  node(): { readonly request: AnyRequest; readonly response: AnyResponse };
  /** The same, with `defaultHeaders` set on the response. */
  asNode(): { readonly request: AnyRequest; readonly response: AnyResponse };
}

/** The identity of a request's connection; undefined once it is closed. */
export function connectionOf(request: AnyRequest): Connection {
  return "stream" in request ? request.stream.session : request.socket;
}

/** Headers that every answer has unless it sets them itself. */
export type DefaultHeaders = Readonly<Record<string, string>>;

/** @param defaultHeaders in addition to headers already set on the response */
export function nodeExchange(
  request: AnyRequest,
  response: AnyResponse,
  defaultHeaders: DefaultHeaders = {},
): Exchange {
  return new NodeExchange(request, response, defaultHeaders);
}

/** HTTP/1.1, and HTTP/2 through Node's compatibility API. */
class NodeExchange implements Exchange {
  readonly #request: AnyRequest;
  readonly #response: http.ServerResponse;
  readonly defaultHeaders: DefaultHeaders;
  readonly stream = undefined;

  constructor(request: AnyRequest, response: AnyResponse, defaultHeaders: DefaultHeaders) {
    this.#request = request;
    this.#response = response as http.ServerResponse;
    this.defaultHeaders = defaultHeaders;
  }

  get httpVersion() {
    return this.#request.httpVersionMajor === 2 ? 2 : 1;
  }
  get method() {
    return this.#request.method ?? "GET";
  }
  get path() {
    return this.#request.url ?? "/";
  }
  get headers() {
    return this.#request.headers;
  }
  get peer() {
    return this.#request.socket;
  }
  get connection() {
    return connectionOf(this.#request);
  }
  get hasBody() {
    return hasBody(this.#request);
  }
  get body(): Readable {
    return this.#request;
  }
  get trailers() {
    return this.#request.trailers;
  }

  get sent() {
    const { headersSent, statusCode } = this.#response;
    if ("stream" in this.#request) return sentOn(this.#request.stream);
    return { status: headersSent ? statusCode : undefined, grpcStatus: undefined };
  }

  onClose(listener: (resetCode: number) => void): void {
    const closed = () => listener("stream" in this.#request ? (this.#request.stream.rstCode ?? 0) : 0);
    // Errors on the caller's side are followed by 'close'.
    this.#request.on("error", ignore);
    this.#response.on("error", ignore);
    if (this.#response.destroyed) closed();
    else this.#response.on("close", closed);
  }

  answer(status: number, headers: http.OutgoingHttpHeaders, body: Buffer, trailers: http.OutgoingHttpHeaders): void {
    if (this.httpVersion === 2 || isNotEmpty(trailers)) {
      const writable = this.begin(status, headers);
      if (body.byteLength > 0) writable.write(body);
      this.end(trailers);
      return;
    }
    this.#response.writeHead(status, { ...this.defaultHeaders, ...headers });
    endInOnePiece(this.#response, body);
  }

  begin(status: number, headers: http.OutgoingHttpHeaders): Writable {
    this.#setHeaders(this.defaultHeaders);
    this.#response.statusCode = status;
    this.#setHeaders(headers);
    setImmediate(() => {
      contain(this.#response, () => {
        if (!this.#response.headersSent && !this.#response.destroyed) this.#response.flushHeaders();
      });
    });
    return this.#response;
  }

  end(trailers: http.OutgoingHttpHeaders): void {
    // A head sent by end() ends an HTTP/2 stream, and no trailers could follow.
    if (isNotEmpty(trailers)) {
      this.#response.flushHeaders();
      this.#response.addTrailers(trailers as Record<string, string>);
    }
    this.#response.end();
  }

  refuse(error: ConnectError): void {
    this.#unlessGone(() => writeProtocolError(this.#request, this.#response, error, this.defaultHeaders));
  }

  refuseMethod(allowed: readonly string[]): void {
    this.#unlessGone(() => writeMethodNotAllowed(this.#request, this.#response, allowed, this.defaultHeaders));
  }

  #unlessGone(write: () => void): void {
    if (!isGone(this.#response)) contain(this.#response, write);
  }

  reset(code: number): void {
    if ("stream" in this.#request) closeStream(this.#request.stream, code);
    else this.#response.destroy();
  }

  discardBody(): void {
    discardBody(this.#request, this.#response);
  }

  node() {
    return { request: this.#request, response: this.#response };
  }

  asNode() {
    this.#setHeaders(this.defaultHeaders);
    return this.node();
  }

  #setHeaders(headers: http.OutgoingHttpHeaders): void {
    for (const name in headers) this.#response.setHeader(name, headers[name]!);
  }
}

/** @param defaultHeaders headers that every answer has unless it sets them itself */
export function streamExchange(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  defaultHeaders: DefaultHeaders,
): Exchange {
  return new StreamExchange(stream, headers, defaultHeaders);
}

/** HTTP/2, directly on the stream. */
class StreamExchange implements Exchange {
  readonly httpVersion = 2;
  readonly headers: http2.IncomingHttpHeaders;
  readonly peer: Pick<Socket, "remoteAddress">;
  trailers: http.IncomingHttpHeaders = {};
  readonly defaultHeaders: DefaultHeaders;
  readonly stream: http2.ServerHttp2Stream;
  #trailersToSend: http.OutgoingHttpHeaders = {};

  constructor(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, defaultHeaders: DefaultHeaders) {
    this.stream = stream;
    this.headers = headers;
    this.defaultHeaders = defaultHeaders;
    // Read now: an ended session no longer has a socket.
    this.peer = { remoteAddress: stream.session?.socket.remoteAddress };
    // Errors are followed by 'close'.
    stream.on("error", ignore);
    if (!stream.endAfterHeaders) {
      stream.on("trailers", (trailers) => {
        this.trailers = trailers;
      });
    }
  }

  get method() {
    return this.headers[":method"] ?? "GET";
  }
  get path() {
    return this.headers[":path"] ?? "/";
  }
  get connection() {
    return this.stream.session;
  }
  get hasBody() {
    return streamHasBody(this.stream, this.method);
  }
  get body(): Readable {
    return this.stream;
  }

  get sent() {
    return sentOn(this.stream);
  }

  onClose(listener: (resetCode: number) => void): void {
    const closed = () => listener(this.stream.rstCode ?? 0);
    if (this.stream.destroyed) closed();
    else this.stream.on("close", closed);
  }

  answer(status: number, headers: http.OutgoingHttpHeaders, body: Buffer, trailers: http.OutgoingHttpHeaders): void {
    const waitForTrailers = isNotEmpty(trailers);
    const endStream = body.byteLength === 0 && !waitForTrailers;
    this.#respond(status, headers, { endStream, waitForTrailers });
    if (endStream) return;
    this.#trailersToSend = trailers;
    if (body.byteLength === 0) this.stream.end();
    else this.stream.end(body);
  }

  begin(status: number, headers: http.OutgoingHttpHeaders): Writable {
    this.#respond(status, headers, { waitForTrailers: true });
    return this.stream;
  }

  end(trailers: http.OutgoingHttpHeaders): void {
    this.#trailersToSend = trailers;
    this.stream.end();
  }

  refuse(error: ConnectError): void {
    if (this.stream.closed || this.stream.destroyed) return;
    const { request, response } = this.asNode();
    writeProtocolError(request, response, error);
  }

  refuseMethod(allowed: readonly string[]): void {
    if (this.stream.closed || this.stream.destroyed) return;
    const { request, response } = this.asNode();
    writeMethodNotAllowed(request, response, allowed);
  }

  reset(code: number): void {
    closeStream(this.stream, code);
  }

  discardBody(): void {
    discardBody(this.stream, { stream: this.stream });
  }

  node() {
    const request = guardLike(new http2.Http2ServerRequest(this.stream, this.headers, {}, []), this.stream);
    return { request, response: guardLike(new http2.Http2ServerResponse(this.stream), this.stream) };
  }

  asNode() {
    const { request, response } = this.node();
    for (const name in this.defaultHeaders) response.setHeader(name, this.defaultHeaders[name]!);
    return { request, response };
  }

  #respond(status: number, headers: http.OutgoingHttpHeaders, options: http2.ServerStreamResponseOptions): void {
    // The caller may have reset the stream.
    if (this.stream.closed || this.stream.destroyed) return;
    if (options.waitForTrailers) {
      this.stream.on("wantTrailers", () => this.stream.sendTrailers(this.#trailersToSend));
    }
    this.stream.respond({ ...this.defaultHeaders, ...headers, ":status": status }, options);
  }
}

function sentOn({ sentHeaders, sentTrailers }: http2.ServerHttp2Stream): Exchange["sent"] {
  // An answer of trailers only has its status in the head.
  const grpcStatus = sentTrailers?.["grpc-status"] ?? sentHeaders?.["grpc-status"];
  const status = sentHeaders?.[":status"];
  return {
    status: status === undefined ? undefined : Number(status),
    grpcStatus: grpcStatus === undefined ? undefined : String(grpcStatus),
  };
}

function isNotEmpty(trailers: http.OutgoingHttpHeaders): boolean {
  for (const _ in trailers) return true;
  return false;
}

function isGone(response: AnyResponse): boolean {
  return "stream" in response ? response.stream.destroyed : response.destroyed;
}

function ignore(): void {}
