import { type AnyRequest, type AnyResponse, discardBody } from "./protocol-error.ts";

/**
 * The chunks of a body, of which whoever has read enough may stop reading: what is left is thrown away. Node's own iterator
 * destroys the request then, and with it an HTTP/1.1 connection on which the answer is still due.
 */
export function bodyOf(request: AnyRequest, response: AnyResponse): AsyncIterable<Uint8Array> {
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* request.iterator({ destroyOnReturn: false });
      } finally {
        discardBody(request, response);
      }
    },
  };
}
