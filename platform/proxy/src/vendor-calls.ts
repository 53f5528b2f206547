import type { DescMethod, JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError, createConnectRouter, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { type AnyRequest, type AnyResponse, bodyOf, type HeldBytes } from "@shop/http-port";
import { invokeTransport, type RestInvoke } from "@shop/rest";
import { checkMessages, type Exchange, forwardedMessageChecks } from "@shop/rpc-server";
import type { UpstreamService } from "./clients.ts";
import { type ForwardFailure, unreachableMessage } from "./forward.ts";
import { registerNewCalls } from "./new-calls.ts";
import { speaksHttp1 } from "./speaks-http1.ts";

/** Calls to a service of another vendor, which does not speak REST, and perhaps nothing but gRPC. */
export interface VendorCalls {
  /** Whether it understands a request unchanged. A server that answers HTTP/1.1 is assumed to speak Connect and gRPC-Web. */
  understands(request: Pick<Exchange, "headers" | "httpVersion">): Promise<boolean>;
  /** Answers a request that it would not understand by a new call in a protocol that it speaks. Never rejects. */
  answer(method: DescMethod, request: AnyRequest, response: AnyResponse, held: HeldBytes): Promise<void>;
  /** Makes a new call for a REST request. */
  readonly invoke: RestInvoke;
  /** Closes all connections at once; calls in progress break. */
  close(): void;
}

/** @param onFailure called with connection errors, whose details callers do not see */
export function createVendorCalls(
  { service, urls }: UpstreamService,
  readMaxBytes: number,
  onFailure: (failure: ForwardFailure) => void,
): VendorCalls {
  const baseUrl = urls[0]!;
  const sessionManager = new Http2SessionManager(baseUrl, { pingIntervalMs: 20_000 });
  const grpc = createGrpcTransport({ baseUrl, sessionManager });
  const connect = createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true });
  let found: Promise<boolean | undefined> | undefined;

  async function answersHttp1(): Promise<boolean> {
    found ??= speaksHttp1(baseUrl);
    const answer = await found;
    // The server could not be reached: the next call tries again.
    if (answer === undefined) found = undefined;
    return answer ?? true;
  }
  const transport = async () => guarded((await answersHttp1()) ? connect : grpc);

  /** Connection errors contain addresses, which the caller must not see. */
  function guarded({ unary, stream }: Transport): Transport {
    const hide = (error: unknown) => {
      if (!(error instanceof ConnectError) || !isConnectionError(error.cause)) throw error;
      onFailure({ replica: new URL(baseUrl).host, error });
      throw new ConnectError(unreachableMessage, Code.Unavailable);
    };
    return {
      unary: (...call) => unary(...call).catch(hide),
      stream: (...call) => stream(...call).catch(hide),
    };
  }

  const router = createConnectRouter({ readMaxBytes });
  registerNewCalls(service.methods, transport)(router);
  const handlers = new Map(
    router.handlers.map((handler) => [
      handler.method.name,
      checkMessages(handler, forwardedMessageChecks(handler.method, readMaxBytes)),
    ]),
  );
  return {
    async understands({ headers, httpVersion }) {
      const isGrpc = /^application\/grpc($|[+;])/i.test(headers["content-type"] ?? "");
      return (isGrpc && httpVersion === 2) || (await answersHttp1());
    },
    async answer(method, request, response, held) {
      const handler = handlers.get(method.name)!;
      try {
        // Connect accepts the iterable as an already parsed body.
        const body = bodyOf(request, response, held) as unknown as JsonValue;
        const asked = universalRequestFromNodeRequest(request, response, body, undefined);
        await universalResponseToNodeResponse(await handler(asked), response);
      } catch {
        // The caller has gone, or the answer cannot be completed.
        response.destroy();
      }
    },
    invoke: async (method, call) => await invokeTransport(await transport())(method, call),
    close: () => sessionManager.abort(),
  };
}

function isConnectionError(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && /^(E[A-Z]+|ERR_HTTP2_\w+)$/.test(String(cause.code));
}
