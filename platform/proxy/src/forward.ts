import type { OutgoingHttpHeaders } from "node:http";
import { constants } from "node:http2";
import type { Readable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { endToEnd, type HeldBytes, readShort, type ShortBody } from "@shop/http-port";
import { type Exchange, watchMessageSizes } from "@shop/rpc-server";
import { type AnswerCode, codeOfAnswer } from "./answer-code.ts";
import { NotConnected } from "./http2-sessions.ts";
import { requestHead } from "./request-head.ts";
import { type Replica, Upstream, type UpstreamOptions } from "./upstream.ts";
import {
  type Answer,
  callHttp1,
  callHttp2,
  callMux,
  Declined,
  type RequestHead,
  UpstreamBroke,
  type UpstreamCall,
} from "./upstream-call.ts";

export interface ForwarderOptions<Name extends string> extends UpstreamOptions {
  /** The base URLs of each upstream, `http://host:port`, one per replica. */
  readonly upstreams: Readonly<Record<Name, readonly string[]>>;
  /** Names of headers that are never forwarded, such as those that only services may set. */
  readonly dropRequestHeaders?: readonly string[];
  /** Whether `forwarded` and `x-forwarded-*` headers of a request are trusted and extended, or dropped. */
  readonly trustForwardedHeaders?: boolean;
  /** Called for each replica that failed, even if another one then answered. */
  readonly onFailure?: (failure: ForwardFailure) => void;
}

export interface ForwardFailure {
  /** `host:port` */
  readonly replica: string;
  readonly error: unknown;
}

export interface ForwardOptions {
  /**
   * A call with one request message and one response message. Half a message is useless, so each is forwarded in one write
   * unless it is long: the request once it has been read in full, and the answer likewise.
   */
  readonly isUnary?: boolean;
  /** Whether the upstream may get the call on a multiplexed connection, if all of it is short. */
  readonly mayMultiplex?: boolean;
  /** The time limits of a unary call, counted from when its request has been read. Unlimited if absent. */
  readonly waitLimits?: WaitLimits;
  /** Headers to set on the forwarded request, replacing the caller's of the same (lower-case) names. */
  readonly setRequestHeaders?: Readonly<Record<string, string>>;
  /**
   * Aborts the exchange when it fires. Over HTTP/2 with REFUSED_STREAM, which gRPC clients report as UNAVAILABLE: for calls
   * that are safe to retry.
   */
  readonly stop?: AbortSignal;
  /** Refuses larger messages if their length is announced, for upstreams whose own limit is unknown. */
  readonly maxMessageBytes?: number;
  /** Counts buffered bytes; unlimited if absent. A request over budget is refused. */
  readonly held?: HeldBytes;
  /** The caller's error if no replica answered; by default one with code and message only. */
  readonly errorOf?: (failure: NoAnswer) => ConnectError;
}

/** The time limits of waiting for an answer, in milliseconds. */
export interface WaitLimits {
  /** The caller's own deadline, which ends the call with DEADLINE_EXCEEDED. */
  readonly callerMs: number | undefined;
  /** The longest duration of any call, after which it counts as unanswered. Undefined for no limit. */
  readonly mostMs: number | undefined;
}

/** Why there is no answer: nothing was sent to any replica, or a replica got the request and may have executed it. */
export type NoAnswer = "unreachable" | "unanswered";

export const unreachableMessage = "the service cannot be reached";
const bare: Readonly<Record<NoAnswer, string>> = {
  unreachable: unreachableMessage,
  unanswered: "the service did not answer, and may have done what was asked",
};

export interface Forwarder<Name extends string> {
  readonly upstreams: Readonly<Record<Name, Upstream>>;
  /**
   * Forwards one request to the upstream and its answer back, byte by byte, over the same version of HTTP. Resolves when the
   * exchange has ended, with its code, and never rejects: if no replica answers, the caller gets `unavailable` in its own
   * protocol. Headers already set on the response are kept unless the upstream sets them, too.
   */
  forward(exchange: Exchange, upstream: Upstream, options?: ForwardOptions): Promise<AnswerCode>;
  /** Closes all connections to the upstreams at once; close the server first. */
  close(): void;
}

/**
 * A reverse proxy that does not parse messages: bodies stream in both directions at the pace of the slower side, a client that
 * goes away cancels its request upstream, and an upstream's reset resets the client. A request is sent a second time only if
 * the first replica certainly did not process it.
 */
export function createForwarder<Name extends string>(options: ForwarderOptions<Name>): Forwarder<Name> {
  const { dropRequestHeaders = [], trustForwardedHeaders = false, onFailure = () => {} } = options;
  const dropped = new Set(dropRequestHeaders.map((name) => name.toLowerCase()));
  const upstreams = Object.fromEntries(
    Object.entries<readonly string[]>(options.upstreams).map(([name, urls]) => [name, new Upstream(urls, options)]),
  ) as Record<Name, Upstream>;
  return {
    upstreams,
    async forward(exchange, upstream, { setRequestHeaders = {}, stop, ...options } = {}) {
      const head = requestHead(exchange, { dropped, trustForwarded: trustForwardedHeaders, set: setRequestHeaders });
      const call = new ForwardedCall(exchange, head, onFailure, options);
      if (stop === undefined) return await call.run(upstream);
      const breakOff = () => call.breakOff();
      stop.addEventListener("abort", breakOff);
      if (stop.aborted) breakOff();
      const code = await call.run(upstream);
      stop.removeEventListener("abort", breakOff);
      return code;
    },
    close() {
      for (const upstream of Object.values<Upstream>(upstreams)) upstream.close();
    },
  };
}

/**
 * One forwarded request and its answer. The steps are: read a unary request (up to 64 KiB) ahead; then attempt one replica
 * after the other until one answers; then deliver the answer. A replica that cannot be connected to is skipped; one that broke
 * before answering allows one retry while the request is buffered, if it certainly did nothing, or if a reused connection broke
 * and the method is safe. Once an answer has begun, an error can only reset the exchange.
 *
 * `#over` ends every step: it is set when the answer was delivered, when the exchange was refused or reset, and when the caller
 * has gone. Five events race for it: the caller closing, the deadline, the stop signal, an oversized message, and the upstream.
 * Each checks `#over` first, so that exactly one of them answers.
 */
class ForwardedCall {
  readonly #exchange: Exchange;
  readonly #head: RequestHead;
  readonly #isUnary: boolean;
  readonly #mayMultiplex: boolean;
  readonly #body: RequestBody;
  readonly #held: HeldBytes | undefined;
  readonly #onFailure: (failure: ForwardFailure) => void;
  readonly #errorOf: (failure: NoAnswer) => ConnectError;
  readonly #waitLimits: WaitLimits | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #failure: NoAnswer = "unreachable";
  /** The answer that is being streamed to the caller. */
  #streamed: { isStalled(): boolean } | undefined;
  #call: UpstreamCall | undefined;
  #answer: Answer | undefined;
  /** Whether the exchange has ended, or the caller has gone. */
  #over = false;
  /** How it ended; a caller that goes away sets none. */
  #code: AnswerCode = "canceled";

  constructor(
    exchange: Exchange,
    head: RequestHead,
    onFailure: (failure: ForwardFailure) => void,
    {
      isUnary = false,
      mayMultiplex = false,
      waitLimits,
      maxMessageBytes,
      held,
      errorOf = (failure) => new ConnectError(bare[failure], Code.Unavailable),
    }: ForwardOptions,
  ) {
    this.#exchange = exchange;
    this.#head = head;
    this.#isUnary = isUnary;
    this.#mayMultiplex = mayMultiplex;
    this.#waitLimits = waitLimits;
    const inspect =
      maxMessageBytes === undefined
        ? undefined
        : watchMessageSizes(exchange.headers["content-type"], maxMessageBytes, () =>
            this.#refuseLarge(maxMessageBytes),
          );
    this.#held = held;
    this.#body = new RequestBody(exchange, head, inspect, held);
    this.#onFailure = onFailure;
    this.#errorOf = errorOf;
  }

  async run(upstream: Upstream): Promise<AnswerCode> {
    try {
      await this.#run(upstream);
      return this.#code;
    } finally {
      clearTimeout(this.#deadline);
      this.#held?.release();
    }
  }

  async #run(upstream: Upstream): Promise<void> {
    this.#cancelWithCaller();
    if (this.#isUnary && this.#exchange.hasBody && !this.#over) {
      const state = await this.#body.read();
      if (state === "broken") return;
      if (state === "full") {
        if (!this.#over) this.#refuse(this.#held!.refusal());
        return;
      }
    }
    this.#limitWait();
    let retries = 1;
    const turn = [...upstream.inTurn()];
    for (let replica = turn.shift(); replica !== undefined && !this.#over; replica = turn.shift()) {
      try {
        return await this.#attempt(replica);
      } catch (error) {
        if (this.#over) return;
        this.#onFailure({ replica: replica.authority, error });
        this.#body.stop();
        this.#call = undefined;
        if (this.#answer !== undefined) return this.#reset(this.#answer.resetCode());
        if (error instanceof NotConnected) {
          replica.avoid();
          continue;
        }
        if (!(error instanceof UpstreamBroke)) {
          return this.#refuse(new ConnectError("the request cannot be forwarded", Code.Internal));
        }
        if (error.retry !== "always") this.#failure = "unanswered";
        if (retries-- <= 0 || !this.#mayRetry(error)) break;
        turn.push(replica);
      }
    }
    if (!this.#over) this.#refuse(this.#errorOf(this.#failure));
  }

  /** Ends the wait for an answer at the caller's deadline, or at the longest duration of any call. */
  #limitWait(): void {
    if (this.#waitLimits === undefined) return;
    const { callerMs = longestTimerMs, mostMs = longestTimerMs } = this.#waitLimits;
    const isCallers = callerMs <= mostMs;
    const waitMs = Math.max(0, Math.min(callerMs, mostMs, longestTimerMs));
    this.#deadline = setTimeout(() => this.#giveUp(isCallers), waitMs);
    const { hasBody, body } = this.#exchange;
    if (isCallers || !hasBody || body.readableEnded) return;
    // The upstream's time starts once it has all of a long request.
    body.once("end", () => {
      clearTimeout(this.#deadline);
      if (!this.#over) this.#deadline = setTimeout(() => this.#giveUp(isCallers), waitMs);
    });
  }

  /** Whether the caller still sends the request, and the upstream is ready to read. */
  get #waitsForRequest(): boolean {
    const { hasBody, body } = this.#exchange;
    return hasBody && !body.readableEnded && !body.isPaused();
  }

  #giveUp(isCallers: boolean): void {
    if (this.#over) return;
    // Long messages are streamed, perhaps from a caller that sends or reads slowly: that is not the upstream's fault.
    if (!isCallers && (this.#waitsForRequest || this.#streamed?.isStalled() === false)) {
      this.#deadline = setTimeout(() => this.#giveUp(isCallers), stalledAfterMs);
      return;
    }
    this.#body.stop();
    const failure = this.#call === undefined ? this.#failure : "unanswered";
    this.#call?.cancel(constants.NGHTTP2_CANCEL);
    if (this.#streamed !== undefined) this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
    else if (isCallers) this.#refuse(new ConnectError("the operation timed out", Code.DeadlineExceeded));
    else this.#refuse(this.#errorOf(failure));
  }

  breakOff(): void {
    if (this.#over) return;
    this.#body.stop();
    this.#call?.cancel(constants.NGHTTP2_CANCEL);
    if (this.#answer === undefined) this.#refuse(this.#errorOf("unreachable"));
    else this.#reset(constants.NGHTTP2_REFUSED_STREAM);
  }

  #refuseLarge(maxMessageBytes: number): void {
    if (this.#over) return;
    this.#body.stop();
    this.#call?.cancel(constants.NGHTTP2_CANCEL);
    if (this.#answer !== undefined) {
      // gRPC clients report that code as RESOURCE_EXHAUSTED, too.
      this.#reset(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    this.#refuse(new ConnectError(`a message is larger than ${maxMessageBytes} bytes`, Code.ResourceExhausted));
  }

  async #attempt(replica: Replica): Promise<void> {
    const { length } = this.#body;
    const link = this.#mayMultiplex && length !== undefined ? replica.mux.take() : undefined;
    const call = link && callMux(link, this.#head, replica, length!);
    if (call !== undefined) {
      try {
        return await this.#complete(replica, call);
      } catch (error) {
        if (!(error instanceof Declined) || this.#over) throw error;
      }
    }
    const open = this.#exchange.httpVersion === 2 ? callHttp2 : callHttp1;
    await this.#complete(replica, await open(replica, this.#head, length));
  }

  async #complete(replica: Replica, call: UpstreamCall): Promise<void> {
    if (this.#over) return call.cancel(constants.NGHTTP2_CANCEL);
    this.#call = call;
    this.#body.sendTo(call);
    this.#answer = await replica.detection.track(call.answer);
    this.#body.forget();
    await this.#deliver(this.#answer);
    this.#finish(call);
  }

  #mayRetry(error: UpstreamBroke): boolean {
    if (!this.#body.replayable) return false;
    return error.retry === "always" || (error.retry === "if safe" && /^(GET|HEAD|OPTIONS)$/.test(this.#head.method));
  }

  async #deliver(answer: Answer): Promise<void> {
    const { body } = answer;
    const headers = endToEnd(answer.headers);
    if (answer.headersOnly) return this.#sendWhole(answer, headers, nothing);
    if (Buffer.isBuffer(body)) {
      if (!this.#over) this.#sendWhole(answer, headers, body);
      return;
    }
    if (!this.#isUnary) return await this.#stream(answer, body, headers, []);
    const { state, chunks } = await readShort(body, shortMaxBytes, this.#held);
    if (this.#over) return;
    if (state === "long" || state === "full") return await this.#stream(answer, body, headers, chunks);
    if (state === "broken") throw brokenOff();
    this.#sendWhole(answer, headers, joined(chunks));
  }

  /** Sends a complete answer. */
  #sendWhole(answer: Answer, headers: OutgoingHttpHeaders, body: Buffer): void {
    const trailers = endToEnd(answer.trailers());
    this.#exchange.answer(answer.status, headers, body, trailers);
    this.#over = true;
    this.#code = codeOfAnswer(answer.status, headers, body, trailers);
  }

  /** Streams an answer. */
  #stream(answer: Answer, body: Readable, headers: OutgoingHttpHeaders, read: readonly Buffer[]): Promise<void> {
    const writable = this.#exchange.begin(answer.status, headers);
    for (const chunk of read) writable.write(chunk);
    if (this.#waitLimits !== undefined) this.#streamed = watchStall(body);
    body.pipe(writable, { end: false });
    return new Promise((resolve, reject) => {
      const broke = () => reject(brokenOff());
      body.once("error", broke).once("close", broke);
      body.once("end", () => {
        if (answer.resetCode() !== 0) return broke();
        this.#over = true;
        const trailers = endToEnd(answer.trailers());
        this.#exchange.end(trailers);
        this.#code = codeOfAnswer(answer.status, headers, read[0], trailers);
        resolve();
      });
    });
  }

  /** An upstream may answer before it has read the request; then the rest is discarded. */
  #finish(call: UpstreamCall): void {
    if (!this.#exchange.hasBody || this.#exchange.body.readableEnded) return;
    this.#body.stop();
    call.cancel(constants.NGHTTP2_CANCEL);
    this.#exchange.discardBody();
  }

  #cancelWithCaller(): void {
    this.#exchange.onClose((resetCode) => {
      if (this.#over) return;
      this.#over = true;
      this.#body.stop();
      this.#call?.cancel(resetCode || constants.NGHTTP2_CANCEL);
    });
  }

  #refuse(error: ConnectError): void {
    this.#over = true;
    this.#code = codeToString(error.code);
    this.#exchange.refuse(error);
  }

  #reset(code: number): void {
    this.#over = true;
    this.#code = "unavailable";
    this.#exchange.reset(code || constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** The longest delay of Node's timers: 25 days. */
const longestTimerMs = 2 ** 31 - 1;
/** An answer is stalled if none of it has arrived for this time, although the caller is ready to read. */
const stalledAfterMs = 250;

function watchStall(body: Readable): { isStalled(): boolean } {
  let movedAt = performance.now();
  body.on("data", () => {
    movedAt = performance.now();
  });
  return { isStalled: () => !body.isPaused() && performance.now() - movedAt > stalledAfterMs };
}

/**
 * Messages up to this size are short: a short request is buffered until its answer begins, so that it can be resent, and a
 * short answer is sent in one write.
 */
const shortMaxBytes = 65_536;

/** The body of a request while it is sent upstream. What was read of it can be resent while it is short. */
class RequestBody {
  readonly #exchange: Exchange;
  readonly #head: RequestHead;
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  readonly #held: HeldBytes | undefined;
  readonly #inspect: (chunk: Buffer) => void;
  #call: UpstreamCall | undefined;

  /** @param inspect called with each chunk that is sent */
  constructor(
    exchange: Exchange,
    head: RequestHead,
    inspect: ((chunk: Uint8Array) => void) | undefined,
    held: HeldBytes | undefined,
  ) {
    this.#exchange = exchange;
    this.#head = head;
    this.#held = held;
    this.#inspect = inspect ?? ignore;
  }

  get replayable(): boolean {
    return this.#kept !== undefined;
  }

  /** The length of the body, if all of it was read; undefined while more may follow, including trailers. */
  get length(): number | undefined {
    if (!this.#exchange.hasBody) return 0;
    if (!this.#isWhole || Object.keys(this.#exchange.trailers).length > 0) return undefined;
    return this.#keptBytes;
  }

  get #isWhole(): boolean {
    return this.#exchange.body.readableEnded && this.#kept !== undefined;
  }

  /** Reads the body until it is complete, long, or over budget. The state is `broken` if its sender has gone. */
  async read(): Promise<ShortBody["state"]> {
    const { state, chunks } = await readShort(this.#exchange.body, shortMaxBytes, this.#held);
    this.#kept = [...chunks];
    for (const chunk of chunks) {
      this.#keptBytes += chunk.byteLength;
      this.#inspect(chunk);
    }
    return state;
  }

  sendTo(call: UpstreamCall): void {
    this.#call = call;
    const { body } = this.#exchange;
    if (!this.#exchange.hasBody) {
      body.resume();
      call.send(nothing, {});
      return;
    }
    if (this.#isWhole) {
      call.send(joined(this.#kept!), this.#head.trailers());
      return;
    }
    const upload = call.body!;
    for (const chunk of this.#kept ?? []) upload.write(chunk);
    body.on("data", this.#keep).on("data", this.#inspect).once("end", this.#end);
    if (this.#keptBytes > shortMaxBytes) this.forget();
    body.pipe(upload, { end: false });
  }

  stop(): void {
    if (this.#call === undefined) return;
    const { body } = this.#exchange;
    body.off("data", this.#keep).off("data", this.#inspect).off("end", this.#end);
    if (this.#call.body !== undefined) body.unpipe(this.#call.body);
    this.#call = undefined;
  }

  forget(): void {
    this.#kept = undefined;
    this.#held?.release();
    this.#exchange.body.off("data", this.#keep);
  }

  #keep = (chunk: Buffer): void => {
    this.#keptBytes += chunk.byteLength;
    const kept = this.#keptBytes > shortMaxBytes || this.#held === undefined ? chunk : this.#held.keep(chunk);
    if (this.#keptBytes > shortMaxBytes || kept === undefined) this.forget();
    else this.#kept?.push(kept);
  };

  #end = (): void => {
    this.#call?.end(this.#head.trailers());
  };
}

const nothing = Buffer.alloc(0);

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

function brokenOff(): Error {
  return new Error("the upstream broke off its answer");
}

function ignore(): void {}
