import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Greet } from "./greet.ts";
import { createLeanCalls, type LeanCalls } from "./lean/lean-calls.ts";
import { isTooLong } from "./message-sizes.ts";
import type { AnyRequest, AnyResponse } from "./protocol-error.ts";
import { handleNodeRequest } from "./rest/node-handler.ts";
import type { Transcoder } from "./rest/transcoder.ts";
import type { RouterOptions } from "./router-options.ts";
import type { Routing } from "./routing.ts";

/** Answers the usual unary calls of what is hosted here, in every protocol but gRPC-Web, without Fastify, which adds nothing to them. */
export interface ShortWay {
  /** False if the request is not usual: then nothing of it was touched. */
  request(request: AnyRequest, response: AnyResponse): boolean;
  readonly stream: LeanCalls["stream"];
}

export function createShortWay(port: {
  readonly routerOptions: RouterOptions;
  readonly handlers: readonly UniversalHandler[];
  readonly specs: ReadonlyMap<DescMethod, MethodImplSpec>;
  readonly routing: Routing;
  readonly transcoder: Transcoder;
  readonly greet: Greet;
  readonly corsOrigins: readonly string[];
  hosted(service: DescService): unknown;
  refusal(method: DescMethod): unknown;
}): ShortWay {
  const { routing, transcoder, greet, corsOrigins } = port;
  const { readMaxBytes } = port.routerOptions;
  // Pages of another origin would be answered otherwise.
  const vary = corsOrigins.length === 0 || corsOrigins.includes("*") ? {} : { vary: "Origin" };

  const lean = createLeanCalls({
    ...port.routerOptions,
    handlers: port.handlers,
    specs: port.specs,
    admit: (method, request) =>
      isUsual(request) && port.refusal(method) === undefined ? { ...greet(request), ...vary } : undefined,
  });

  function restMethod({ method, url, headers }: AnyRequest): DescMethod | undefined {
    if (isTooLong(headers, readMaxBytes)) return undefined;
    const destination = routing.find(method ?? "", url ?? "/");
    return destination.kind === "method" && destination.isRest ? destination.method : undefined;
  }

  return {
    stream: lean.stream,
    request(request, response) {
      if (!isUsual(request)) return false;
      if (request.httpVersionMajor === 1 && lean.request(request as IncomingMessage, response as ServerResponse))
        return true;
      const method = restMethod(request);
      if (method?.methodKind !== "unary" || port.hosted(method.parent) === undefined) return false;
      if (port.refusal(method) !== undefined) return false;
      void handleNodeRequest(transcoder, request, response, { ...greet(request), ...vary });
      return true;
    },
  };
}

/** Pages from elsewhere are told more, and who expects something is told so first. */
function isUsual({ headers }: Pick<AnyRequest, "headers">): boolean {
  return headers.origin === undefined && headers.expect === undefined;
}
