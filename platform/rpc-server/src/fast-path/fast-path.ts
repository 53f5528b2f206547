import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { type AnyRequest, type AnyResponse, containRejection, type HoldBytes, hasBody } from "@shop/http-port";
import { answerNodeRequest, decodeJson, handleNodeRequest, type RestTarget, type Transcoder } from "@shop/rest";
import { connectionOf, http2Caller, nodeCaller } from "../caller.ts";
import type { Forwarding } from "../forwarding.ts";
import { keptByAnybody } from "../pipeline/cacheable.ts";
import type { Routing } from "../pipeline/classify.ts";
import type { Greet } from "../pipeline/client-address.ts";
import type { EarlyRefusals } from "../pipeline/early-refusals.ts";
import { messageCheck } from "../pipeline/message-limits.ts";
import { isTooLong } from "../pipeline/message-sizes.ts";
import type { RouterOptions } from "../pipeline/router-options.ts";
import type { FindAtHand } from "./cached-answers.ts";
import { createLeanCalls, type LeanCalls } from "./lean-calls.ts";

/**
 * Answers usual unary calls without Fastify, which adds nothing to them: those of what is hosted here, in every protocol but
 * gRPC-Web, and those that are forwarded or refused, in every protocol.
 *
 * `false` means that a request is not usual: then nothing of it was touched.
 */
export interface ShortWay {
  request(request: AnyRequest, response: AnyResponse): boolean;
  /** Over HTTP/2, before Node makes its objects of the stream. */
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
  readonly remote: Forwarding;
  readonly earlyRefusals: EarlyRefusals;
  readonly holdBytes: HoldBytes;
  hosted(service: DescService): unknown;
}): ShortWay {
  const { routing, transcoder, greet, corsOrigins, findAtHand, remote, earlyRefusals } = port;
  const { readMaxBytes } = port.routerOptions;
  // Pages of another origin would be answered otherwise.
  const vary = corsOrigins.length === 0 || corsOrigins.includes("*") ? {} : { vary: "Origin" };

  const lean = createLeanCalls({
    ...port.routerOptions,
    findAtHand,
    checkOf: messageCheck,
    decodeJson,
    handlers: port.handlers,
    specs: port.specs,
    holdBytes: port.holdBytes,
    admit: (method, request) =>
      isUsual(request) && earlyRefusals.of(method) === undefined ? { ...greet(request), ...vary } : undefined,
  });

  function unaryMethod(httpMethod = "GET", url = "/", headers: IncomingHttpHeaders) {
    if (isTooLong(headers, readMaxBytes)) return undefined;
    const destination = routing.find(httpMethod, url);
    if (destination.kind !== "method" || destination.method.methodKind !== "unary") return undefined;
    return {
      ...destination,
      refusal: earlyRefusals.of(destination.method),
      isHosted: port.hosted(destination.method.parent) !== undefined,
    };
  }

  return {
    request(request, response) {
      if (!isUsual(request)) return false;
      if (request.httpVersionMajor === 1 && lean.request(request as IncomingMessage, response as ServerResponse))
        return true;
      const called = unaryMethod(request.method, request.url, request.headers);
      if (called === undefined) return false;
      const say = () => ({ ...greet(request), ...vary });
      if (called.refusal !== undefined) {
        earlyRefusals.tell(called.method, called.refusal, request, response, say());
        return true;
      }
      if (!called.isHosted) {
        if (!mayForward(called, request.method)) return false;
        containRejection(response, remote.call(called.method, nodeCaller(request, response, say())));
        return true;
      }
      if (called.rest === undefined) return false;
      const message = messageAtHand(request, called.rest);
      if (message === undefined) {
        const said = say();
        const domain = called.method.parent.file.proto.package;
        const held = port.holdBytes(request.headers, connectionOf(request), domain);
        containRejection(response, handleNodeRequest(transcoder, request, response, said, called.rest, held));
      } else {
        const said = { ...say(), ...keptByAnybody };
        const result = { message, header: undefined, trailer: undefined };
        answerNodeRequest(transcoder, request, response, said, called.rest, result);
      }
      return true;
    },
    stream(stream, headers) {
      if (lean.stream(stream, headers)) return true;
      if (!isUsual({ headers })) return false;
      const called = unaryMethod(headers[":method"], headers[":path"], headers);
      if (
        called === undefined ||
        called.refusal !== undefined ||
        called.isHosted ||
        !mayForward(called, headers[":method"])
      )
        return false;
      const said = greet({ headers, socket: (stream.session?.socket ?? {}) as Socket });
      containRejection(stream, remote.call(called.method, http2Caller(stream, headers, { ...said, ...vary })));
      return true;
    },
  };

  /** Of a request that its first line decides. */
  function messageAtHand(request: AnyRequest, { match, message }: RestTarget): Message | undefined {
    if (message === undefined || match.kind !== "match" || hasBody(request)) return undefined;
    // Of what it says, others know whether that is a time.
    return "connect-timeout-ms" in request.headers ? undefined : findAtHand(match.route.method, message);
  }

  /** A GET of the Connect protocol is answered with more in headers. */
  function mayForward(
    { method, rest }: { readonly method: DescMethod; readonly rest: RestTarget | undefined },
    httpMethod: string | undefined,
  ) {
    return (rest !== undefined || httpMethod === "POST") && remote.carries(method, rest !== undefined);
  }
}

/** Pages from elsewhere are told more, and who expects something is told so first. */
function isUsual({ headers }: Pick<AnyRequest, "headers">): boolean {
  return headers.origin === undefined && headers.expect === undefined;
}
