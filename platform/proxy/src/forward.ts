import type { OutgoingHttpHeaders } from "node:http";
import { constants } from "node:http2";
import type { Readable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { endToEnd, type HeldBytes, readShort, type ShortBody } from "@shop/http-port";
import { type Exchange, watchMessageSizes } from "@shop/rpc-server";
import { NotConnected } from "./http2-sessions.ts";
import { requestHead } from "./request-head.ts";
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
  /**
   * One message is asked and one is answered: nobody can use half of either, so that each crosses in one piece, unless it is
   * long. A request is sent upstream once it is whole, and an answer begins once it is.
   */
  readonly isUnary?: boolean;
  /** Of a unary call, from when its request has been read. Without it the call may take as long as it likes. */
  readonly waitLimits?: WaitLimits;
  /** Set on the forwarded request, in place of what the caller sent under these (lower-case) names. */
  readonly setRequestHeaders?: Readonly<Record<string, string>>;
  /**
   * Breaks the exchange off when it fires. Over HTTP/2 by REFUSED_STREAM, which gRPC clients know as UNAVAILABLE: for calls
   * that can be made again without harm.
   */
  readonly stop?: AbortSignal;
  /** Refuses larger messages where their length is said ahead, for upstreams whose own limit is not known. */
  readonly maxMessageBytes?: number;
  /** Counts what is kept of bodies; without it that is not limited. A request that can't be kept is refused. */
  readonly held?: HeldBytes;
  /** What the caller is told when nobody answered; a code and a message only if absent. */
  readonly toldOf?: (failure: NoAnswer) => ConnectError;
}

/** How long an answer is waited for, in milliseconds. */
export interface WaitLimits {
  /** The caller's own deadline, which ends the call with DEADLINE_EXCEEDED. */
  readonly callerMs: number | undefined;
  /** The longest that the call may take: then it counts as unanswered. Undefined without a limit. */
  readonly mostMs: number | undefined;
}

/** Why there is no answer: no replica was sent anything, or one was, which may have done what was asked. */
export type NoAnswer = "unreachable" | "unanswered";

export const unreachableMessage = "the service cannot be reached";
const bare: Readonly<Record<NoAnswer, string>> = {
  unreachable: unreachableMessage,
  unanswered: "the service did not answer, and may have done what was asked",
};

export interface Forwarder<Name extends string> {
  readonly upstreams: Readonly<Record<Name, Upstream>>;
  /**
   * Carries one request to the upstream and its answer back, byte by byte, on the HTTP version it came in on. Resolves
   * when the exchange has ended, whichever way, and never rejects: if no replica answers the caller gets
   * `unavailable` in its own protocol. Headers set on the response before are kept unless the upstream sets them too.
   */
  forward(exchange: Exchange, upstream: Upstream, options?: ForwardOptions): Promise<void>;
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
    async forward(exchange, upstream, { setRequestHeaders = {}, stop, ...options } = {}) {
      const head = requestHead(exchange, { dropped, trustForwarded: trustForwardedHeaders, set: setRequestHeaders });
      const call = new ForwardedCall(exchange, head, onFailure, options);
      if (stop === undefined) return await call.run(upstream);
      const breakOff = () => call.breakOff();
      stop.addEventListener("abort", breakOff);
      if (stop.aborted) breakOff();
      await call.run(upstream);
      stop.removeEventListener("abort", breakOff);
    },
    close() {
      for (const upstream of Object.values<Upstream>(upstreams)) upstream.close();
    },
  };
}

/** One request and its answer. */
class ForwardedCall {
  readonly #exchange: Exchange;
  readonly #head: RequestHead;
  readonly #isUnary: boolean;
  readonly #body: RequestBody;
  readonly #held: HeldBytes | undefined;
  readonly #onFailure: (failure: ForwardFailure) => void;
  readonly #toldOf: (failure: NoAnswer) => ConnectError;
  readonly #waitLimits: WaitLimits | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #failure: NoAnswer = "unreachable";
  /** An answer that is being handed over as it comes. */
  #streamed: { isStalled(): boolean } | undefined;
  #call: UpstreamCall | undefined;
  #answer: Answer | undefined;
  /** The answer was handed over whole, or the caller has gone. */
  #over = false;

  constructor(
    exchange: Exchange,
    head: RequestHead,
    onFailure: (failure: ForwardFailure) => void,
    {
      isUnary = false,
      waitLimits,
      maxMessageBytes,
      held,
      toldOf = (failure) => new ConnectError(bare[failure], Code.Unavailable),
    }: ForwardOptions,
  ) {
    this.#exchange = exchange;
    this.#head = head;
    this.#isUnary = isUnary;
    this.#waitLimits = waitLimits;
    const look =
      maxMessageBytes === undefined
        ? undefined
        : watchMessageSizes(exchange.headers["content-type"], maxMessageBytes, () =>
            this.#refuseLarge(maxMessageBytes),
          );
    this.#held = held;
    this.#body = new RequestBody(exchange, head, look, held);
    this.#onFailure = onFailure;
    this.#toldOf = toldOf;
  }

  async run(upstream: Upstream): Promise<void> {
    try {
      await this.#run(upstream);
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
    if (!this.#over) this.#refuse(this.#toldOf(this.#failure));
  }

  /** Ends the wait for an answer at the caller's deadline, or when it has taken too long for any call. */
  #limitWait(): void {
    if (this.#waitLimits === undefined) return;
    const { callerMs = longestTimerMs, mostMs = longestTimerMs } = this.#waitLimits;
    const isCallers = callerMs <= mostMs;
    const waitMs = Math.max(0, Math.min(callerMs, mostMs, longestTimerMs));
    this.#deadline = setTimeout(() => this.#giveUp(isCallers), waitMs);
    const { hasBody, body } = this.#exchange;
    if (isCallers || !hasBody || body.readableEnded) return;
    // The upstream has its time once it has the whole of a long request.
    body.once("end", () => {
      clearTimeout(this.#deadline);
      if (!this.#over) this.#deadline = setTimeout(() => this.#giveUp(isCallers), waitMs);
    });
  }

  /** Whether more of the request is to come, and the upstream takes what comes. */
  get #waitsForRequest(): boolean {
    const { hasBody, body } = this.#exchange;
    return hasBody && !body.readableEnded && !body.isPaused();
  }

  #giveUp(isCallers: boolean): void {
    if (this.#over) return;
    // What is long crosses as it comes, perhaps from a caller that sends or reads slowly: the upstream is not to blame for that.
    if (!isCallers && (this.#waitsForRequest || this.#streamed?.isStalled() === false)) {
      this.#deadline = setTimeout(() => this.#giveUp(isCallers), stalledAfterMs);
      return;
    }
    this.#body.stop();
    const failure = this.#call === undefined ? this.#failure : "unanswered";
    this.#call?.cancel(constants.NGHTTP2_CANCEL);
    if (this.#streamed !== undefined) this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
    else if (isCallers) this.#refuse(new ConnectError("the operation timed out", Code.DeadlineExceeded));
    else this.#refuse(this.#toldOf(failure));
  }

  breakOff(): void {
    if (this.#over) return;
    this.#body.stop();
    this.#call?.cancel(constants.NGHTTP2_CANCEL);
    if (this.#answer === undefined) this.#refuse(this.#toldOf("unreachable"));
    else this.#reset(constants.NGHTTP2_REFUSED_STREAM);
  }

  #refuseLarge(maxMessageBytes: number): void {
    if (this.#over) return;
    this.#body.stop();
    this.#call?.cancel(constants.NGHTTP2_CANCEL);
    if (this.#answer !== undefined) {
      // gRPC clients know that code as RESOURCE_EXHAUSTED, too.
      this.#reset(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    this.#refuse(new ConnectError(`a message is larger than ${maxMessageBytes} bytes`, Code.ResourceExhausted));
  }

  async #attempt(replica: Replica): Promise<void> {
    const open = this.#exchange.httpVersion === 2 ? callHttp2 : callHttp1;
    const call = await open(replica, this.#head, this.#body.length);
    if (this.#over) return call.cancel(constants.NGHTTP2_CANCEL);
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

  async #deliver(answer: Answer): Promise<void> {
    const headers = endToEnd(answer.headers);
    if (answer.headersOnly) return this.#hand(answer, headers, nothing);
    if (!this.#isUnary) return await this.#stream(answer, headers, []);
    const { state, chunks } = await readShort(answer.body, shortMaxBytes, this.#held);
    if (this.#over) return;
    if (state === "long" || state === "full") return await this.#stream(answer, headers, chunks);
    if (state === "broken") throw brokenOff();
    this.#hand(answer, headers, joined(chunks));
  }

  /** Hands a whole answer over. */
  #hand(answer: Answer, headers: OutgoingHttpHeaders, body: Buffer): void {
    this.#exchange.answer(answer.status, headers, body, endToEnd(answer.trailers()));
    this.#over = true;
  }

  /** Hands an answer over as it comes. */
  #stream(answer: Answer, headers: OutgoingHttpHeaders, read: readonly Buffer[]): Promise<void> {
    const writable = this.#exchange.begin(answer.status, headers);
    for (const chunk of read) writable.write(chunk);
    if (this.#waitLimits !== undefined) this.#streamed = watchStall(answer.body);
    answer.body.pipe(writable, { end: false });
    return new Promise((resolve, reject) => {
      const broke = () => reject(brokenOff());
      answer.body.once("error", broke).once("close", broke);
      answer.body.once("end", () => {
        if (answer.resetCode() !== 0) return broke();
        this.#over = true;
        this.#exchange.end(endToEnd(answer.trailers()));
        resolve();
      });
    });
  }

  /** An upstream may answer before it has read the request; then nobody wants the rest of it. */
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
    this.#exchange.refuse(error);
  }

  #reset(code: number): void {
    this.#over = true;
    this.#exchange.reset(code || constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** The longest delay of Node's timers: 25 days. */
const longestTimerMs = 2 ** 31 - 1;
/** An answer is stalled when nothing more of it has come for this time although its reader is ready. */
const stalledAfterMs = 250;

function watchStall(body: Readable): { isStalled(): boolean } {
  let movedAt = performance.now();
  body.on("data", () => {
    movedAt = performance.now();
  });
  return { isStalled: () => !body.isPaused() && performance.now() - movedAt > stalledAfterMs };
}

/** A message up to this size is short: kept until its answer begins, so that it can be sent again; or given in one piece. */
const shortMaxBytes = 65_536;

/** The body of a request on its way upstream; what was read of it can be sent again as long as it is short. */
class RequestBody {
  readonly #exchange: Exchange;
  readonly #head: RequestHead;
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  readonly #held: HeldBytes | undefined;
  readonly #look: (chunk: Buffer) => void;
  #call: UpstreamCall | undefined;

  /** @param look sees each chunk as it is sent */
  constructor(
    exchange: Exchange,
    head: RequestHead,
    look: ((chunk: Uint8Array) => void) | undefined,
    held: HeldBytes | undefined,
  ) {
    this.#exchange = exchange;
    this.#head = head;
    this.#held = held;
    this.#look = look ?? ignore;
  }

  get replayable(): boolean {
    return this.#kept !== undefined;
  }

  /** Bytes of what was read, if that is all; undefined while more may come, trailers included. */
  get length(): number | undefined {
    if (!this.#exchange.hasBody) return 0;
    if (!this.#isWhole || Object.keys(this.#exchange.trailers).length > 0) return undefined;
    return this.#keptBytes;
  }

  get #isWhole(): boolean {
    return this.#exchange.body.readableEnded && this.#kept !== undefined;
  }

  /** Reads ahead until the body is whole, or long, or can't be kept. It breaks off when its sender has gone. */
  async read(): Promise<ShortBody["state"]> {
    const { state, chunks } = await readShort(this.#exchange.body, shortMaxBytes, this.#held);
    this.#kept = [...chunks];
    for (const chunk of chunks) {
      this.#keptBytes += chunk.byteLength;
      this.#look(chunk);
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
    body.on("data", this.#keep).on("data", this.#look).once("end", this.#end);
    if (this.#keptBytes > shortMaxBytes) this.forget();
    body.pipe(upload, { end: false });
  }

  stop(): void {
    if (this.#call === undefined) return;
    const { body } = this.#exchange;
    body.off("data", this.#keep).off("data", this.#look).off("end", this.#end);
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
