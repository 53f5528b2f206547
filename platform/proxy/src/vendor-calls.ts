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
import { checkMessages, type Exchange, plainMessages } from "@shop/rpc-server";
import type { UpstreamService } from "./clients.ts";
import { type ForwardFailure, unreachableMessage } from "./forward.ts";
import { callAnew } from "./new-calls.ts";
import { speaksHttp1 } from "./speaks-http1.ts";

/** Calls to a service that is no port of this platform: it knows no REST, and perhaps nothing but gRPC. */
export interface VendorCalls {
  /** Whether it understands a request as it is. Whoever answers HTTP/1.1 is taken to know Connect and gRPC-Web. */
  understands(request: Pick<Exchange, "headers" | "httpVersion">): Promise<boolean>;
  /** Makes a new call in a protocol that it knows, of one that it would not understand. Never rejects. */
  answer(method: DescMethod, request: AnyRequest, response: AnyResponse, held: HeldBytes): Promise<void>;
  /** For REST. */
  readonly invoke: RestInvoke;
  /** Ends all connections at once; calls that still run break. */
  close(): void;
}

/** @param onFailure told of what no caller is told: why the service could not be reached */
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
    // Nobody was there: the next call asks again.
    if (answer === undefined) found = undefined;
    return answer ?? true;
  }
  const transport = async () => guarded((await answersHttp1()) ? connect : grpc);

  /** A connection that fails names addresses: the caller is told only that it did. */
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
  callAnew(service.methods, transport)(router);
  const handlers = new Map(
    router.handlers.map((handler) => [
      handler.method.name,
      checkMessages(handler, plainMessages(handler.method, readMaxBytes)),
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
        // What it calls a parsed body is taken as it is.
        const body = bodyOf(request, response, held) as unknown as JsonValue;
        const asked = universalRequestFromNodeRequest(request, response, body, undefined);
        await universalResponseToNodeResponse(await handler(asked), response);
      } catch {
        // The caller has gone, or cannot be answered any more.
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
