import type { OutgoingHttpHeaders } from "node:http";
import type { AnyRequest, AnyResponse } from "./any-request.ts";
import { discardBody } from "./discard-body.ts";

/**
 * How a port answers requests that it refuses before any handler. Plain text by default; an application may pass its own error
 * format.
 */
export interface Refusals {
  /** Answers a refused request, with status 400 or the equivalent of the caller's protocol. */
  refuse(request: AnyRequest, response: AnyResponse, message: string, headers: OutgoingHttpHeaders): void;
  /** The answer to bytes that do not parse as a request. It is written to the raw connection, which is then closed. */
  unreadable(status: number, message: string): UnreadableAnswer;
}

export interface UnreadableAnswer {
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array;
}

const contentType = { "content-type": "text/plain; charset=utf-8" };

export const plainRefusals: Refusals = {
  refuse(request, response, message, headers) {
    const head = { ...contentType, ...headers, "content-length": Buffer.byteLength(message) };
    // Both versions accept these arguments, but TypeScript can't call a union of them.
    const { writeHead } = response as { writeHead(status: number, headers: OutgoingHttpHeaders): unknown };
    writeHead.call(response, 400, head);
    response.end(message);
    discardBody(request, response);
  },
  unreadable: (_status, message) => ({ headers: contentType, body: Buffer.from(message) }),
};
