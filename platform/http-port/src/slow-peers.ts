import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { closeStream } from "./close-stream.ts";
import type { HeldBytes, HoldBytes } from "./held-bytes.ts";

/** Who seems late is looked at once more, after so long. */
export const lookAgainMs = 20;

/** What is known of a connection of HTTP/1.1, or a stream of HTTP/2, on which answers leave. */
interface AnswersOn {
  /** When everything that was written had left. */
  emptyAt: number;
  /** Of the request that came last. */
  headers: IncomingHttpHeaders;
  /** HTTP/1.1: the answer to it, and those before it that had not left when it came. */
  last: ServerResponse | undefined;
  earlier: ServerResponse[];
  held: HeldBytes | undefined;
}

/**
 * Answers whose readers take nothing: sockets of HTTP/1.1 and streams of HTTP/2. Node's own timers start again with every
 * write, also with one that goes nowhere.
 */
export class UnreadAnswers {
  readonly #on = new Map<Socket | ServerHttp2Stream, AnswersOn>();
  readonly #holdBytes: HoldBytes | undefined;

  /** @param holdBytes counts the bytes that are not read; without it they are not limited */
  constructor(holdBytes?: HoldBytes) {
    this.#holdBytes = holdBytes;
  }

  /** To be forgotten when it is closed. */
  watch(answer: Socket | ServerHttp2Stream, headers: IncomingHttpHeaders = {}): void {
    const on: AnswersOn = { emptyAt: performance.now(), headers, last: undefined, earlier: [], held: undefined };
    this.#on.set(answer, on);
    answer.on("drain", () => {
      on.emptyAt = performance.now();
    });
  }

  /** HTTP/1.1: a request came. Requests may come before the answers to those before them have left. */
  asked(socket: Socket, headers: IncomingHttpHeaders, response: ServerResponse): void {
    const on = this.#on.get(socket);
    if (on === undefined) return;
    if (on.last !== undefined && !on.last.writableFinished) on.earlier.push(on.last);
    on.last = response;
    on.headers = headers;
  }

  forget(answer: Socket | ServerHttp2Stream): void {
    this.#on.get(answer)?.held?.release();
    this.#on.delete(answer);
  }

  /** Cuts off what is unread beyond the budget: the largest shares of it first. */
  bound(): void {
    if (this.#holdBytes === undefined) return;
    for (const [answer, on] of this.#on) {
      const bytes = unreadBytes(answer, on);
      if (bytes === 0) {
        on.held?.release();
        on.held = undefined;
        continue;
      }
      on.held ??= this.#holdBytes(on.headers, "session" in answer ? answer.session : answer, undefined);
      if (on.held.resize(bytes)) continue;
      on.held.breakOff();
      cutOff(answer);
    }
  }

  cutOff(afterMs: number): void {
    const now = performance.now();
    for (const [answer, on] of this.#on) {
      if (answer.writableLength === 0) on.emptyAt = now;
      // What was written at this very moment, as a clock's ticks may be time after time, has not had the time to leave.
      else if (now - on.emptyAt >= afterMs) setTimeout(() => this.#cutOffUnlessEmpty(answer), lookAgainMs).unref();
    }
  }

  #cutOffUnlessEmpty(answer: Socket | ServerHttp2Stream): void {
    const on = this.#on.get(answer);
    if (on === undefined) return;
    if (answer.writableLength === 0) on.emptyAt = performance.now();
    else cutOff(answer);
  }
}

function cutOff(answer: Socket | ServerHttp2Stream): void {
  if ("session" in answer) closeStream(answer, constants.NGHTTP2_CANCEL);
  else answer.destroy();
}

/** Answers whose turn has not come wait by themselves; that whose turn it is, in the socket. */
function unreadBytes(answer: Socket | ServerHttp2Stream, on: AnswersOn): number {
  let bytes = answer.writableLength;
  if (on.last === undefined) return bytes;
  on.earlier = on.earlier.filter((response) => !response.writableFinished && !response.destroyed);
  for (const response of [...on.earlier, on.last]) {
    if (response.socket === null && !response.writableFinished) bytes += response.writableLength;
  }
  return bytes;
}

const wholeStates: ReadonlySet<number | undefined> = new Set([
  constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE,
  constants.NGHTTP2_STREAM_STATE_CLOSED,
]);

/** Requests over HTTP/2 whose bodies do not end; over HTTP/1.1 Node looks after them. */
export class UnfinishedRequests {
  readonly #beganAt = new Map<ServerHttp2Stream, number>();

  /** To be forgotten when it is closed. */
  watch(request: ServerHttp2Stream): void {
    if (!request.endAfterHeaders) this.#beganAt.set(request, performance.now());
  }

  forget(request: ServerHttp2Stream): void {
    this.#beganAt.delete(request);
  }

  cutOff(afterMs: number): void {
    const now = performance.now();
    for (const [request, beganAt] of this.#beganAt) {
      if (now - beganAt < afterMs) return; // The rest began later still.
      if (wholeStates.has(request.state.state)) this.#beganAt.delete(request);
      else closeStream(request, constants.NGHTTP2_CANCEL);
    }
  }
}
