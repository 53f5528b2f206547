import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMethod, JsonValue } from "@bufbuild/protobuf";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { bodyOf } from "@shop/http-port";
import { ensureUsableAuthority } from "../usable-authority.ts";
import type { HoldCall, Protocol } from "./protocol.ts";

/** Connect, gRPC and gRPC-Web by Connect's own handlers: every call of a hosted method. */
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

/** Has Connect's own handler answer a request whose body was read already. Never rejects. */
export async function answerByConnectHandler(
  handler: UniversalHandler,
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  bytes: Uint8Array,
  said: OutgoingHttpHeaders,
): Promise<void> {
  for (const name in said) response.setHeader(name, said[name]!);
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
    // What Connect calls a parsed body is taken as it is.
    const asked = universalRequestFromNodeRequest(request, response, body as JsonValue, undefined);
    await universalResponseToNodeResponse(await handler(asked), response);
  } catch {
    // The client has gone, or cannot be answered any more.
    response.destroy();
  }
}
