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

/** One request and its answer, the same over either version of HTTP. */
export interface Exchange {
  readonly httpVersion: 1 | 2;
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  /** The machine at the other end of the connection. */
  readonly peer: Pick<Socket, "remoteAddress">;
  /** Stands for the connection; undefined once that is gone. */
  readonly connection: Connection;
  readonly hasBody: boolean;
  readonly body: Readable;
  /** Of the request; known once its body has ended. */
  readonly trailers: http.IncomingHttpHeaders;
  /** Tells that the exchange has ended or the caller has gone, at once if so already, with the code of RST_STREAM or 0. */
  onClose(tell: (resetCode: number) => void): void;
  /** Gives the whole answer. */
  answer(status: number, headers: http.OutgoingHttpHeaders, body: Buffer, trailers: http.OutgoingHttpHeaders): void;
  /** Begins an answer; what has come along with the head leaves along with it. The body is written to what is returned. */
  begin(status: number, headers: http.OutgoingHttpHeaders): Writable;
  /** Ends an answer that was begun. */
  end(trailers: http.OutgoingHttpHeaders): void;
  /** Answers with an error in the protocol of the request; nothing happens when the client has gone. */
  refuse(error: ConnectError): void;
  /** Answers that only these HTTP methods are allowed: by the status alone, as RPC protocols do. */
  refuseMethod(allowed: readonly string[]): void;
  /** Breaks the exchange off, over HTTP/2 with a code: all that can be said once the answer has begun. */
  reset(code: number): void;
  /** Throws away what is left of the request after its answer. */
  discardBody(): void;
  /** Headers of every answer, unless the answer has others. */
  readonly said: Said;
  /** The HTTP/2 stream itself; undefined where Node has made its own objects of the request. */
  readonly stream: http2.ServerHttp2Stream | undefined;
  /** Node's own objects, for what knows nothing else; to be asked before anything is read or answered. */
  node(): { readonly request: AnyRequest; readonly response: AnyResponse };
  /** The same, and `said` is set on the response. */
  asNode(): { readonly request: AnyRequest; readonly response: AnyResponse };
}

/** Stands for the connection of a request; undefined once that is gone. */
export function connectionOf(request: AnyRequest): Connection {
  return "stream" in request ? request.stream.session : request.socket;
}

/** Headers that every answer has, unless it has others of that name. */
export type Said = Readonly<Record<string, string>>;

/** @param said besides what is set on the response already */
export function nodeExchange(request: AnyRequest, response: AnyResponse, said: Said = {}): Exchange {
  return new NodeExchange(request, response, said);
}

/** Over HTTP/1.1; and over HTTP/2 by the objects that Node makes to be used as those of HTTP/1.1. */
class NodeExchange implements Exchange {
  readonly #request: AnyRequest;
  readonly #response: http.ServerResponse;
  readonly said: Said;
  readonly stream = undefined;

  constructor(request: AnyRequest, response: AnyResponse, said: Said) {
    this.#request = request;
    this.#response = response as http.ServerResponse;
    this.said = said;
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

  onClose(tell: (resetCode: number) => void): void {
    const closed = () => tell("stream" in this.#request ? (this.#request.stream.rstCode ?? 0) : 0);
    // What breaks on the caller's side ends in 'close'.
    this.#request.on("error", ignore);
    this.#response.on("error", ignore);
    if (this.#response.destroyed) closed();
    else this.#response.on("close", closed);
  }

  answer(status: number, headers: http.OutgoingHttpHeaders, body: Buffer, trailers: http.OutgoingHttpHeaders): void {
    if (this.httpVersion === 2 || isSomething(trailers)) {
      const writable = this.begin(status, headers);
      if (body.byteLength > 0) writable.write(body);
      this.end(trailers);
      return;
    }
    this.#response.writeHead(status, { ...this.said, ...headers });
    endInOnePiece(this.#response, body);
  }

  begin(status: number, headers: http.OutgoingHttpHeaders): Writable {
    this.#say(this.said);
    this.#response.statusCode = status;
    this.#say(headers);
    setImmediate(() => {
      contain(this.#response, () => {
        if (!this.#response.headersSent && !this.#response.destroyed) this.#response.flushHeaders();
      });
    });
    return this.#response;
  }

  end(trailers: http.OutgoingHttpHeaders): void {
    // A head that leaves with end() ends an HTTP/2 stream: nothing could follow it.
    if (isSomething(trailers)) {
      this.#response.flushHeaders();
      this.#response.addTrailers(trailers as Record<string, string>);
    }
    this.#response.end();
  }

  refuse(error: ConnectError): void {
    this.#unlessGone(() => writeProtocolError(this.#request, this.#response, error, this.said));
  }

  refuseMethod(allowed: readonly string[]): void {
    this.#unlessGone(() => writeMethodNotAllowed(this.#request, this.#response, allowed, this.said));
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
    this.#say(this.said);
    return this.node();
  }

  #say(headers: http.OutgoingHttpHeaders): void {
    for (const name in headers) this.#response.setHeader(name, headers[name]!);
  }
}

/** @param said what every answer says in headers, unless it says otherwise */
export function streamExchange(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  said: Said,
): Exchange {
  return new StreamExchange(stream, headers, said);
}

/** Over HTTP/2, on the stream itself. */
class StreamExchange implements Exchange {
  readonly httpVersion = 2;
  readonly headers: http2.IncomingHttpHeaders;
  readonly peer: Pick<Socket, "remoteAddress">;
  trailers: http.IncomingHttpHeaders = {};
  readonly said: Said;
  readonly stream: http2.ServerHttp2Stream;
  #trailersToSend: http.OutgoingHttpHeaders = {};

  constructor(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, said: Said) {
    this.stream = stream;
    this.headers = headers;
    this.said = said;
    // Read now: a session that has ended has no socket any more.
    this.peer = { remoteAddress: stream.session?.socket.remoteAddress };
    // What breaks ends in 'close'.
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

  onClose(tell: (resetCode: number) => void): void {
    const closed = () => tell(this.stream.rstCode ?? 0);
    if (this.stream.destroyed) closed();
    else this.stream.on("close", closed);
  }

  answer(status: number, headers: http.OutgoingHttpHeaders, body: Buffer, trailers: http.OutgoingHttpHeaders): void {
    const waitForTrailers = isSomething(trailers);
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
    for (const name in this.said) response.setHeader(name, this.said[name]!);
    return { request, response };
  }

  #respond(status: number, headers: http.OutgoingHttpHeaders, options: http2.ServerStreamResponseOptions): void {
    // A caller that has just reset the stream is told nothing.
    if (this.stream.closed || this.stream.destroyed) return;
    if (options.waitForTrailers) {
      this.stream.on("wantTrailers", () => this.stream.sendTrailers(this.#trailersToSend));
    }
    this.stream.respond({ ...this.said, ...headers, ":status": status }, options);
  }
}

function isSomething(trailers: http.OutgoingHttpHeaders): boolean {
  for (const _ in trailers) return true;
  return false;
}

function isGone(response: AnyResponse): boolean {
  return "stream" in response ? response.stream.destroyed : response.destroyed;
}

function ignore(): void {}
