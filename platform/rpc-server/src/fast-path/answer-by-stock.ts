import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { JsonValue } from "@bufbuild/protobuf";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";

/** Lets Connect's own handler answer a request whose body was read already. Never rejects. */
export async function answerByStock(
  stock: UniversalHandler,
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  bytes: Uint8Array,
  said: OutgoingHttpHeaders,
): Promise<void> {
  try {
    for (const name in said) response.setHeader(name, said[name]!);
    // What it calls a parsed body is taken as it is.
    const body = (async function* () {
      if (bytes.byteLength > 0) yield bytes;
    })() as unknown as JsonValue;
    const asked = universalRequestFromNodeRequest(request, response, body, undefined);
    await universalResponseToNodeResponse(await stock(asked), response);
  } catch {
    // The caller has gone, or cannot be answered any more.
    response.destroy();
  }
}
