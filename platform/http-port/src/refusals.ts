import type { OutgoingHttpHeaders } from "node:http";
import type { AnyRequest, AnyResponse } from "./any-request.ts";
import { discardBody } from "./discard-body.ts";

/** How a port answers what reaches no handler. By default in plain text; an application with an error format of its own passes it. */
export interface Refusals {
  /** Answers a request that is not let in, with status 400 or what the caller's protocol says instead. */
  refuse(request: AnyRequest, response: AnyResponse, message: string, headers: OutgoingHttpHeaders): void;
  /** The answer to bytes that are no request, written to the connection as it is, which is closed after it. */
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
    // Both versions of HTTP take these, but TypeScript can't call a union of them.
    const { writeHead } = response as { writeHead(status: number, headers: OutgoingHttpHeaders): unknown };
    writeHead.call(response, 400, head);
    response.end(message);
    discardBody(request, response);
  },
  unreadable: (_status, message) => ({ headers: contentType, body: Buffer.from(message) }),
};
