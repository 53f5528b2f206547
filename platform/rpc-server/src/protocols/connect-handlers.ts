import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMethod, JsonValue } from "@bufbuild/protobuf";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { bodyOf } from "@shop/http-port";
import { ensureUsableAuthority } from "../usable-authority.ts";
import type { HoldCall, Protocol } from "./protocol.ts";

/** The fallback: Connect, gRPC and gRPC-Web by Connect's own handlers. Takes every RPC call of a hosted method. */
export function connectHandlers(handlers: readonly UniversalHandler[], hold: HoldCall): Protocol {
  const byMethod = new Map<DescMethod, UniversalHandler>(handlers.map((handler) => [handler.method, handler]));
  return {
    takes: ({ method, rest }, { source }) => rest === undefined && source !== "stream" && byMethod.has(method),
    async answer(call, exchange) {
      const { request, response } = exchange.asNode();
      ensureUsableAuthority(request);
      const body = bodyOf(request, response, hold(call, exchange));
      await handle(byMethod.get(call.method)!, request, response, body);
    },
  };
}

/** Answers a request whose body has already been read through Connect's own handler. Never rejects. */
export async function answerByConnectHandler(
  handler: UniversalHandler,
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  bytes: Uint8Array,
  defaultHeaders: OutgoingHttpHeaders,
): Promise<void> {
  for (const name in defaultHeaders) response.setHeader(name, defaultHeaders[name]!);
  const body = (async function* () {
    if (bytes.byteLength > 0) yield bytes;
  })();
  await handle(handler, request, response, body);
}

async function handle(
  handler: UniversalHandler,
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  body: unknown,
): Promise<void> {
  try {
    // Connect accepts the iterable as an already parsed body.
    const asked = universalRequestFromNodeRequest(request, response, body as JsonValue, undefined);
    await universalResponseToNodeResponse(await handler(asked), response);
  } catch {
    // The client has gone, or the answer cannot be completed.
    response.destroy();
  }
}
