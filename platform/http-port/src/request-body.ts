import type { AnyRequest, AnyResponse } from "./any-request.ts";
import { discardBody } from "./discard-body.ts";
import type { HeldBytes } from "./held-bytes.ts";

/**
 * The chunks of a body, of which whoever has read enough may stop reading: what is left is thrown away. Node's own iterator
 * destroys the request then, and with it an HTTP/1.1 connection on which the answer is still due. Throws a ConnectError when what
 * has come of it can't be kept until the rest has.
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
