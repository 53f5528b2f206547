import type * as http from "node:http";
import * as http2 from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { closeStream } from "./close-stream.ts";
import { NotConnected } from "./http2-sessions.ts";
import { watchMessageSizes } from "./message-sizes.ts";
import { type AnyRequest, type AnyResponse, discardBody, writeProtocolError } from "./protocol-error.ts";
import { type Replica, Upstream, type UpstreamOptions } from "./upstream.ts";
import {
  type Answer,
  callHttp1,
  callHttp2,
  type RequestHead,
  UpstreamBroke,
  type UpstreamCall,
} from "./upstream-call.ts";

export interface ForwarderOptions<Name extends string> extends UpstreamOptions {
  /** The base URLs of each upstream, `http://host:port`, one per replica. */
  readonly upstreams: Readonly<Record<Name, readonly string[]>>;
  /** Names of headers that never cross, such as those that only insiders may set. */
  readonly dropRequestHeaders?: readonly string[];
  /** Whether `forwarded` and `x-forwarded-*` of a request are believed and added to, or thrown away. */
  readonly trustForwardedHeaders?: boolean;
  /** Told of each replica that failed, also where another one then answered. */
  readonly onFailure?: (failure: ForwardFailure) => void;
}

export interface ForwardFailure {
  /** `host:port` */
  readonly replica: string;
  readonly error: unknown;
}

export interface ForwardOptions {
  /** Set on the forwarded request, in place of what the caller sent under these (lower-case) names. */
  readonly setRequestHeaders?: Readonly<Record<string, string>>;
  /**
   * Breaks the exchange off when it fires. Over HTTP/2 by REFUSED_STREAM, which gRPC clients know as UNAVAILABLE: for calls
   * that can be made again without harm.
   */
  readonly stop?: AbortSignal;
  /** Refuses larger messages where their length is said ahead, for upstreams whose own limit is not known. */
  readonly maxMessageBytes?: number;
}

export interface Forwarder<Name extends string> {
  readonly upstreams: Readonly<Record<Name, Upstream>>;
  /**
   * Carries one request to the upstream and its answer back, byte by byte, on the HTTP version it came in on. Resolves
   * when the exchange has ended, whichever way, and never rejects: if no replica can be reached the caller gets
   * `unavailable` in its own protocol. Headers set on the response before are kept unless the upstream sets them too.
   */
  forward(request: AnyRequest, response: AnyResponse, upstream: Upstream, options?: ForwardOptions): Promise<void>;
  /** Ends all connections to the upstreams at once; close the server first. */
  close(): void;
}

/**
 * A reverse proxy that knows HTTP but no message: bodies stream in both directions at the pace of the slower side, a
 * client that goes away cancels its request upstream, and an upstream that resets resets the client. A request is sent
 * a second time only if the first replica certainly did nothing with it.
 */
export function createForwarder<Name extends string>(options: ForwarderOptions<Name>): Forwarder<Name> {
  const { dropRequestHeaders = [], trustForwardedHeaders = false, onFailure = () => {} } = options;
  const dropped = new Set(dropRequestHeaders.map((name) => name.toLowerCase()));
  const upstreams = Object.fromEntries(
    Object.entries<readonly string[]>(options.upstreams).map(([name, urls]) => [name, new Upstream(urls, options)]),
  ) as Record<Name, Upstream>;
  return {
    upstreams,
    async forward(request, response, upstream, { setRequestHeaders = {}, stop, maxMessageBytes } = {}) {
      const head = requestHead(request, dropped, trustForwardedHeaders, setRequestHeaders);
      const exchange = new Exchange(request, response, head, onFailure, maxMessageBytes);
      const breakOff = () => exchange.breakOff();
      stop?.addEventListener("abort", breakOff);
      if (stop?.aborted) breakOff();
      await exchange.run(upstream);
      stop?.removeEventListener("abort", breakOff);
    },
    close() {
      for (const upstream of Object.values<Upstream>(upstreams)) upstream.close();
    },
  };
}

/** One request and its answer. */
class Exchange {
  readonly #request: AnyRequest;
  readonly #response: http.ServerResponse;
  readonly #head: RequestHead;
  readonly #body: RequestBody;
  readonly #onFailure: (failure: ForwardFailure) => void;
  #call: UpstreamCall | undefined;
  #answer: Answer | undefined;
  /** The answer was handed over whole, or the client has gone. */
  #over = false;

  constructor(
    request: AnyRequest,
    response: AnyResponse,
    head: RequestHead,
    onFailure: (failure: ForwardFailure) => void,
    maxMessageBytes: number | undefined,
  ) {
    this.#request = request;
    // Node's HTTP/2 compatibility objects are made to be used as those of HTTP/1.1.
    this.#response = response as http.ServerResponse;
    this.#head = head;
    const look =
      maxMessageBytes === undefined
        ? undefined
        : watchMessageSizes(request.headers["content-type"], maxMessageBytes, () => this.#refuseLarge(maxMessageBytes));
    this.#body = new RequestBody(request, look);
    this.#onFailure = onFailure;
  }

  async run(upstream: Upstream): Promise<void> {
    this.#cancelWithClient();
    let retries = 1;
    const turn = [...upstream.inTurn()];
    for (let replica = turn.shift(); replica !== undefined && !this.#over; replica = turn.shift()) {
      try {
        return await this.#attempt(replica);
      } catch (error) {
        if (this.#over) return;
        this.#onFailure({ replica: replica.authority, error });
        this.#body.stop();
        if (this.#answer !== undefined) return this.#reset(this.#answer.resetCode());
        if (error instanceof NotConnected) replica.avoid();
        else if (!(error instanceof UpstreamBroke)) return this.#refuse(Code.Internal);
        else if (retries-- > 0 && this.#mayRetry(error)) turn.push(replica);
        else break;
      }
    }
    if (!this.#over) this.#refuse(Code.Unavailable);
  }

  breakOff(): void {
    if (this.#over) return;
    this.#body.stop();
    this.#call?.cancel(http2.constants.NGHTTP2_CANCEL);
    if (this.#answer === undefined) this.#refuse(Code.Unavailable);
    else this.#reset(http2.constants.NGHTTP2_REFUSED_STREAM);
  }

  #refuseLarge(maxMessageBytes: number): void {
    if (this.#over) return;
    this.#body.stop();
    this.#call?.cancel(http2.constants.NGHTTP2_CANCEL);
    if (this.#answer !== undefined) {
      // gRPC clients know that code as RESOURCE_EXHAUSTED, too.
      this.#reset(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    this.#over = true;
    const error = new ConnectError(`a message is larger than ${maxMessageBytes} bytes`, Code.ResourceExhausted);
    writeProtocolError(this.#request, this.#response, error);
  }

  async #attempt(replica: Replica): Promise<void> {
    const call = await (this.#request.httpVersionMajor === 2 ? callHttp2 : callHttp1)(replica, this.#head);
    if (this.#over) return call.cancel(http2.constants.NGHTTP2_CANCEL);
    this.#call = call;
    this.#body.sendTo(call);
    this.#answer = await replica.silence.during(call.answer);
    this.#body.forget();
    await this.#deliver(this.#answer);
    this.#finish(call);
  }

  #mayRetry(error: UpstreamBroke): boolean {
    if (!this.#body.replayable) return false;
    return error.retry === "always" || (error.retry === "if safe" && /^(GET|HEAD|OPTIONS)$/.test(this.#head.method));
  }

  #deliver(answer: Answer): Promise<void> {
    const response = this.#response;
    response.statusCode = answer.status;
    for (const [name, value] of Object.entries(endToEnd(answer.headers))) response.setHeader(name, value!);
    if (answer.headersOnly) {
      this.#over = true;
      response.end();
      return Promise.resolve();
    }
    // What has come along with the head leaves along with it.
    setImmediate(() => {
      if (!this.#over && !response.headersSent) response.flushHeaders();
    });
    answer.body.pipe(response, { end: false });
    return new Promise((resolve, reject) => {
      const broke = () => reject(new Error("the upstream broke off its answer"));
      answer.body.once("error", broke).once("close", broke);
      answer.body.once("end", () => {
        if (answer.resetCode() !== 0) return broke();
        this.#over = true;
        this.#end(endToEnd(answer.trailers()));
        resolve();
      });
    });
  }

  #end(trailers: http.OutgoingHttpHeaders): void {
    // A head that leaves with end() ends an HTTP/2 stream: nothing could follow it.
    if (Object.keys(trailers).length > 0) {
      this.#response.flushHeaders();
      this.#response.addTrailers(trailers as Record<string, string>);
    }
    this.#response.end();
  }

  /** An upstream may answer before it has read the request; then nobody wants the rest of it. */
  #finish(call: UpstreamCall): void {
    if (this.#request.readableEnded) return;
    this.#body.stop();
    call.cancel(http2.constants.NGHTTP2_CANCEL);
    discardBody(this.#request, this.#response);
  }

  #cancelWithClient(): void {
    const response = this.#response;
    // What breaks on the client's side ends in 'close'.
    this.#request.on("error", () => {});
    response.on("error", () => {});
    response.once("close", () => {
      if (this.#over) return;
      this.#over = true;
      this.#body.stop();
      const code = "stream" in this.#request ? this.#request.stream.rstCode : 0;
      this.#call?.cancel(code || http2.constants.NGHTTP2_CANCEL);
    });
    if (response.destroyed) this.#over = true;
  }

  #refuse(code: Code): void {
    this.#over = true;
    const message = code === Code.Unavailable ? "the service cannot be reached" : "the request cannot be forwarded";
    writeProtocolError(this.#request, this.#response, new ConnectError(message, code));
  }

  /** The answer has begun: breaking it off is all that can still be said. */
  #reset(code: number): void {
    this.#over = true;
    if ("stream" in this.#request) closeStream(this.#request.stream, code || http2.constants.NGHTTP2_INTERNAL_ERROR);
    else this.#response.destroy();
  }
}

/** What was sent of a body is kept up to this size until the answer begins, so that it can be sent again. */
const replayMaxBytes = 65_536;

/** The body of a request on its way upstream; what was read of it can be sent again as long as it is short. */
class RequestBody {
  readonly #request: AnyRequest;
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  readonly #look: (chunk: Buffer) => void;
  #call: UpstreamCall | undefined;

  /** @param look sees each chunk as it is sent */
  constructor(request: AnyRequest, look: ((chunk: Uint8Array) => void) | undefined) {
    this.#request = request;
    this.#look = look ?? (() => {});
  }

  get replayable(): boolean {
    return this.#kept !== undefined;
  }

  sendTo(call: UpstreamCall): void {
    this.#call = call;
    for (const chunk of this.#kept ?? []) call.body.write(chunk);
    if (this.#request.readableEnded) {
      this.#end();
      return;
    }
    this.#request.on("data", this.#keep).on("data", this.#look).once("end", this.#end);
    this.#request.pipe(call.body, { end: false });
    setImmediate(() => call.flush());
  }

  stop(): void {
    if (this.#call === undefined) return;
    this.#request.off("data", this.#keep).off("data", this.#look).off("end", this.#end);
    this.#request.unpipe(this.#call.body);
    this.#call = undefined;
  }

  forget(): void {
    this.#kept = undefined;
    this.#request.off("data", this.#keep);
  }

  #keep = (chunk: Buffer): void => {
    this.#keptBytes += chunk.byteLength;
    if (this.#keptBytes > replayMaxBytes) this.forget();
    else this.#kept?.push(chunk);
  };

  #end = (): void => {
    this.#call?.end(endToEnd(this.#request.trailers));
  };
}

/** RFC 9110 7.6.1. `trailer` only announces, and Node refuses it where it cannot send any. */
const hopByHop = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

function endToEnd(headers: http.IncomingHttpHeaders): http.OutgoingHttpHeaders {
  const named = headers.connection?.toLowerCase().split(/[\s,]+/) ?? [];
  const kept: http.OutgoingHttpHeaders = {};
  for (const name in headers) {
    if (name.startsWith(":") || hopByHop.has(name) || named.includes(name)) continue;
    kept[name] = headers[name];
  }
  return kept;
}

/** `expect` was met by the server that read it; `host` is the connection's. */
const notForwarded = new Set(["expect", "host"]);
const forwardedName = /^(forwarded$|x-forwarded-|x-real-ip$)/;

function requestHead(
  request: AnyRequest,
  dropped: ReadonlySet<string>,
  trustForwarded: boolean,
  set: Readonly<Record<string, string>>,
): RequestHead {
  const { headers } = request;
  const kept = endToEnd(headers);
  for (const name in kept) {
    if (notForwarded.has(name) || dropped.has(name)) delete kept[name];
    else if (!trustForwarded && forwardedName.test(name)) delete kept[name];
  }
  if (/(^|,)\s*trailers\s*(;|,|$)/i.test(String(headers.te ?? ""))) kept.te = "trailers";
  const chunked = headers["transfer-encoding"] !== undefined;
  return {
    method: request.method ?? "GET",
    path: request.url ?? "/",
    headers: { ...forwardedBy(request, kept), ...set },
    hasBody: "stream" in request ? !request.stream.endAfterHeaders : chunked || headers["content-length"] !== undefined,
    chunked,
  };
}

/** Says in the request itself what a forwarded one says: for a call that is made anew. What the caller said of it goes. */
export function tellForwarded(request: AnyRequest): void {
  const { headers } = request;
  for (const name in headers) if (forwardedName.test(name)) delete headers[name];
  Object.assign(headers, forwardedBy(request, {}));
}

function forwardedBy(request: AnyRequest, kept: http.OutgoingHttpHeaders): http.OutgoingHttpHeaders {
  const peer = request.socket.remoteAddress ?? "unknown";
  const host = request.headers.host ?? request.headers[":authority"];
  const before = kept["x-forwarded-for"];
  return {
    "x-forwarded-proto": "encrypted" in request.socket ? "https" : "http",
    ...(host === undefined ? {} : { "x-forwarded-host": host }),
    ...kept,
    "x-forwarded-for": before === undefined ? peer : `${before}, ${peer}`,
  };
}
