import { constants, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { closeStream } from "./close-stream.ts";

/** Who seems late is looked at once more, after so long. */
export const lookAgainMs = 20;

/**
 * Answers whose readers take nothing: sockets of HTTP/1.1 and streams of HTTP/2. Node's own timers start again with every
 * write, also with one that goes nowhere.
 */
export class UnreadAnswers {
  /** When everything that was written had left. */
  readonly #emptyAt = new Map<Socket | ServerHttp2Stream, number>();

  /** To be forgotten when it is closed. */
  watch(answer: Socket | ServerHttp2Stream): void {
    const nowEmpty = () => this.#emptyAt.set(answer, performance.now());
    nowEmpty();
    answer.on("drain", nowEmpty);
  }

  forget(answer: Socket | ServerHttp2Stream): void {
    this.#emptyAt.delete(answer);
  }

  cutOff(afterMs: number): void {
    const now = performance.now();
    for (const [answer, emptyAt] of this.#emptyAt) {
      if (answer.writableLength === 0) this.#emptyAt.set(answer, now);
      // What was written at this very moment, as a clock's ticks may be time after time, has not had the time to leave.
      else if (now - emptyAt >= afterMs) setTimeout(() => this.#cutOffUnlessEmpty(answer), lookAgainMs).unref();
    }
  }

  #cutOffUnlessEmpty(answer: Socket | ServerHttp2Stream): void {
    if (!this.#emptyAt.has(answer)) return;
    if (answer.writableLength === 0) this.#emptyAt.set(answer, performance.now());
    else if ("session" in answer) closeStream(answer, constants.NGHTTP2_CANCEL);
    else answer.destroy();
  }
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
