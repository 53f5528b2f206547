import type { AnyRequest, AnyResponse } from "./any-request.ts";
import { discardBody } from "./discard-body.ts";
import type { HeldBytes } from "./held-bytes.ts";

/**
 * The chunks of a body. A consumer may stop early: the rest is discarded. (Node's own iterator would destroy the request then,
 * and with it an HTTP/1.1 connection whose answer is still due.)
 *
 * @throws ConnectError if the buffered bytes exceed the budget
 */
export function bodyOf(request: AnyRequest, response: AnyResponse, held: HeldBytes): AsyncIterable<Uint8Array> {
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for await (const chunk of request.iterator({ destroyOnReturn: false })) {
          const kept = held.keep(chunk);
          if (kept === undefined) throw held.refusal();
          yield kept;
        }
      } finally {
        held.release();
        discardBody(request, response);
      }
    },
  };
}
