import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { closeStream } from "./close-stream.ts";
import type { HeldBytes, HoldBytes } from "./held-bytes.ts";

/** A peer that seems late is checked once more, after this time. */
export const recheckMs = 20;

/** The state of an HTTP/1.1 connection, or HTTP/2 stream, on which answers are sent. */
interface AnswersOn {
  /** When the write buffer was last empty. */
  emptyAt: number;
  /** Headers of the latest request. */
  headers: IncomingHttpHeaders;
  /** HTTP/1.1: the answer to the latest request, and earlier answers that were not yet sent when it arrived. */
  last: ServerResponse | undefined;
  earlier: ServerResponse[];
  held: HeldBytes | undefined;
}

/**
 * Finds answers whose clients read nothing, on HTTP/1.1 sockets and HTTP/2 streams. Node's own timers restart with every write,
 * even one that stays in the buffer.
 */
export class UnreadAnswers {
  readonly #on = new Map<Socket | ServerHttp2Stream, AnswersOn>();
  readonly #holdBytes: HoldBytes | undefined;

  /** @param holdBytes counts unread bytes; without it they are not limited */
  constructor(holdBytes?: HoldBytes) {
    this.#holdBytes = holdBytes;
  }

  /** Call `forget` when it is closed. */
  watch(answer: Socket | ServerHttp2Stream, headers: IncomingHttpHeaders = {}): void {
    const on: AnswersOn = { emptyAt: performance.now(), headers, last: undefined, earlier: [], held: undefined };
    this.#on.set(answer, on);
    answer.on("drain", () => {
      on.emptyAt = performance.now();
    });
  }

  /** HTTP/1.1: records a request. Requests may be pipelined: they arrive before earlier answers have been sent. */
  addRequest(socket: Socket, headers: IncomingHttpHeaders, response: ServerResponse): void {
    const on = this.#on.get(socket);
    if (on === undefined) return;
    if (on.last !== undefined && !on.last.writableFinished) on.earlier.push(on.last);
    on.last = response;
    on.headers = headers;
  }

  /** HTTP/1.1: answers that have not begun will close their connections. */
  closeConnections(): void {
    for (const { last } of this.#on.values()) if (last?.headersSent === false) last.shouldKeepAlive = false;
  }

  forget(answer: Socket | ServerHttp2Stream): void {
    this.#on.get(answer)?.held?.release();
    this.#on.delete(answer);
  }

  /** Aborts answers whose unread bytes exceed their share of the budget. */
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
      // Bytes written in the same tick as every check have had no time to be sent: check again shortly.
      else if (now - on.emptyAt >= afterMs) setTimeout(() => this.#cutOffUnlessEmpty(answer), recheckMs).unref();
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

/** Earlier pipelined answers are in the socket's buffer; later ones still wait in their responses. */
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

/** Finds HTTP/2 requests whose bodies do not end; for HTTP/1.1 Node does. */
export class UnfinishedRequests {
  readonly #beganAt = new Map<ServerHttp2Stream, number>();

  /** Call `forget` when it is closed. */
  watch(request: ServerHttp2Stream): void {
    if (!request.endAfterHeaders) this.#beganAt.set(request, performance.now());
  }

  forget(request: ServerHttp2Stream): void {
    this.#beganAt.delete(request);
  }

  cutOff(afterMs: number): void {
    const now = performance.now();
    for (const [request, beganAt] of this.#beganAt) {
      if (now - beganAt < afterMs) return; // The rest began even later.
      if (wholeStates.has(request.state.state)) this.#beganAt.delete(request);
      else closeStream(request, constants.NGHTTP2_CANCEL);
    }
  }
}
