import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { FindAtHand } from "./at-hand.ts";
import { keptByAnybody } from "./cacheable.ts";
import type { Greet } from "./greet.ts";
import { createLeanCalls, type LeanCalls } from "./lean/lean-calls.ts";
import { isTooLong } from "./message-sizes.ts";
import type { AnyRequest, AnyResponse } from "./protocol-error.ts";
import { answerNodeRequest, handleNodeRequest, hasBody } from "./rest/node-handler.ts";
import type { RestTarget } from "./rest/target.ts";
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
  readonly findAtHand: FindAtHand;
  hosted(service: DescService): unknown;
  refusal(method: DescMethod): unknown;
}): ShortWay {
  const { routing, transcoder, greet, corsOrigins, findAtHand } = port;
  const { readMaxBytes } = port.routerOptions;
  // Pages of another origin would be answered otherwise.
  const vary = corsOrigins.length === 0 || corsOrigins.includes("*") ? {} : { vary: "Origin" };

  const lean = createLeanCalls({
    ...port.routerOptions,
    findAtHand,
    handlers: port.handlers,
    specs: port.specs,
    admit: (method, request) =>
      isUsual(request) && port.refusal(method) === undefined ? { ...greet(request), ...vary } : undefined,
  });

  return {
    stream: lean.stream,
    request(request, response) {
      if (!isUsual(request)) return false;
      if (request.httpVersionMajor === 1 && lean.request(request as IncomingMessage, response as ServerResponse))
        return true;
      if (isTooLong(request.headers, readMaxBytes)) return false;
      const destination = routing.find(request.method ?? "", request.url ?? "/");
      if (destination.kind !== "method" || destination.rest === undefined) return false;
      const { method, rest } = destination;
      if (method.methodKind !== "unary" || port.hosted(method.parent) === undefined) return false;
      if (port.refusal(method) !== undefined) return false;
      const said = { ...greet(request), ...vary };
      const message = messageAtHand(request, rest);
      if (message === undefined) void handleNodeRequest(transcoder, request, response, said, rest);
      else {
        const result = { message, header: undefined, trailer: undefined };
        answerNodeRequest(transcoder, request, response, { ...said, ...keptByAnybody }, rest, result);
      }
      return true;
    },
  };

  /** Of a request that its first line decides. */
  function messageAtHand(request: AnyRequest, { match, message }: RestTarget): Message | undefined {
    if (message === undefined || match.kind !== "match" || hasBody(request)) return undefined;
    // Of what it says, others know whether that is a time.
    return "connect-timeout-ms" in request.headers ? undefined : findAtHand(match.route.method, message);
  }
}

/** Pages from elsewhere are told more, and who expects something is told so first. */
function isUsual({ headers }: Pick<AnyRequest, "headers">): boolean {
  return headers.origin === undefined && headers.expect === undefined;
}
