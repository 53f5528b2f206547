import type { EventEmitter } from "node:events";
import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { DomainError } from "@shop/core";
import { resumption } from "@shop/gen/shop/common/v1/resumption_pb";
import { containRejection, NodeHeaders } from "@shop/http-port";
import { createTranscoder, decodeJson, handleNodeRequest, withHttpStatus } from "@shop/rest";
import type { Exchange } from "../exchange.ts";
import type { FindCachedAnswer } from "../fast-path/cached-answers.ts";
import { compressions } from "../fast-path/compressions.ts";
import { fastConnectCalls, fastGrpcCalls } from "../fast-path/fast-calls.ts";
import { unaryMethods } from "../fast-path/unary-method.ts";
import { type ForwardingPort, nothingForwarded, type OpenForwarding } from "../forwarding.ts";
import { connectHandlers } from "../protocols/connect-handlers.ts";
import { forwardedCalls } from "../protocols/forwarded.ts";
import type { HoldCall, Protocol, RequestHead } from "../protocols/protocol.ts";
import { restCalls } from "../protocols/rest.ts";
import { createAdmission } from "./admission.ts";
import { checkMessages } from "./checked-messages.ts";
import { type Call, createClassify } from "./classify.ts";
import { toConnectError } from "./errors.ts";
import { callMethods, collectMethods } from "./invoke.ts";
import { messageCheck } from "./message-limits.ts";
import { isTooLong } from "./message-sizes.ts";
import { readableMessages } from "./readable-messages.ts";
import type { RouterOptions } from "./router-options.ts";

export interface PipelineOptions extends ForwardingPort {
  /** A public port says to caches which answers vary by compression. */
  readonly isPublic: boolean;
  /** How to register a service that is hosted in this process; calls of the others are forwarded. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  /** How calls of services reach the processes that host them; absent for a port that hosts all it exposes. */
  readonly forwarding?: OpenForwarding;
  /** Why a call of a hosted method is refused before it is read; undefined when it is not. */
  refusal(method: DescMethod): DomainError | undefined;
  /** How REST names the fields of its answers; "proto" if absent. */
  readonly jsonNames?: "proto" | "lowerCamelCase";
  /** Whether ordinary unary calls take the fast path, or all calls Connect's own handlers. */
  readonly leanCalls: boolean;
  /** Cached answers to ordinary unary calls. */
  readonly findCachedAnswer: FindCachedAnswer;
  /** Services that Fastify plugins answer. */
  readonly pluginServices: readonly DescService[];
  /** Paths of Fastify routes that GET reads; may grow until the first request. */
  readonly pages: ReadonlySet<string>;
}

/** What is done with one request; its exchange may be made later, when other headers of its answer are known. */
export interface Plan {
  /** False for what is no call: then hooks and routes of the Fastify application come first. */
  readonly isFinal: boolean;
  /** Headers besides `exchange.said` by which caches tell answers to this request apart. */
  readonly vary: string | undefined;
  /** Answers the request. Never rejects. */
  answer(exchange: Exchange): Promise<void> | void;
}

/** Carries a plan out. What its code throws ends the guarded stream or response, and nothing else. */
export function carryOut(plan: Plan, exchange: Exchange, guarded: EventEmitter): void {
  const answered = plan.answer(exchange);
  if (answered !== undefined) containRejection(guarded, answered);
}

const noCall = { isFinal: false, vary: undefined };

export interface Pipeline {
  /**
   * What is to be done with a request; undefined when it is for a route of Fastify, and for a stream that has to become a request
   * first. Pure: nothing is read, counted or answered yet.
   */
  plan(head: RequestHead): Plan | undefined;
  close(): void;
}

/**
 * The one path of a request: classify, authorize, admit, decode, validate, invoke, encode. The first line tells which method is called;
 * refusals that need nothing else come first; then the first protocol that takes the call does the rest (protocols/protocol.ts).
 */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { services, isPublic, routerOptions, holdBytes } = options;
  const { readMaxBytes } = routerOptions;
  const isHosted = (method: DescMethod) => options.hosted(method.parent) !== undefined;
  const forwarding = options.forwarding?.(options) ?? nothingForwarded;
  const hold: HoldCall = ({ method }, { headers, connection }) =>
    // Of a stream one message is read at a time.
    holdBytes(
      headers,
      connection,
      method.parent.file.proto.package,
      method.methodKind === "unary" ? undefined : readMaxBytes,
    );

  // Services of one module share its routes.
  const routes = [...new Set(services.map((service) => options.hosted(service)))].filter((one) => one !== undefined);
  const methods = collectMethods(routes);
  const invokeHosted = callMethods(methods, routerOptions);
  const transcoder = createTranscoder({
    services,
    invoke: (method, call) => (isHosted(method) ? invokeHosted(method, call) : forwarding.invoke(method, call)),
    readMaxBytes,
    ...(routerOptions.maxTimeoutMs && { maxTimeoutMs: routerOptions.maxTimeoutMs }),
    checkOf: messageCheck,
    resumptionOf: (method) => (hasOption(method, resumption) ? getOption(method, resumption) : undefined),
    ...(options.jsonNames && { jsonNames: options.jsonNames }),
  });
  const classify = createClassify({ ...options, transcoder, isHosted });
  const admission = createAdmission(options);
  const handlers = handlersOf(services, routes, routerOptions);
  const unary = unaryMethods(handlers, methods, {
    ...routerOptions,
    findCachedAnswer: options.findCachedAnswer,
    checkOf: messageCheck,
    decodeJson,
  });
  const protocols: readonly Protocol[] = [
    ...(options.leanCalls ? [fastConnectCalls(unary, hold), fastGrpcCalls(unary, hold)] : []),
    forwardedCalls(forwarding),
    restCalls({
      transcoder,
      findCachedAnswer: options.leanCalls ? options.findCachedAnswer : () => undefined,
      forwarding,
      hold,
    }),
    connectHandlers(handlers, hold),
  ];

  function planCall(call: Call, head: RequestHead): Plan | undefined {
    const { method } = call;
    const isUnary = method.methodKind === "unary";
    const refusal = admission.refusal(method);
    const isRefused = refusal !== undefined || (isUnary && isTooLong(head.headers, readMaxBytes));
    // Refusals and streaming calls need a request, which Node makes of the stream.
    if (head.source === "stream" && (isRefused || !isUnary)) return undefined;
    const vary = varyOf(call, head.method);
    const planned = (answer: Plan["answer"]): Plan => ({ isFinal: true, vary, answer });
    if (refusal !== undefined) return planned((exchange) => admission.refuse(method, refusal, exchange));
    if (isRefused) return planned((exchange) => refuseTooLong(method, exchange));
    const protocol = protocols.find((one) => one.takes(call, head));
    return protocol && planned((exchange) => protocol.answer(call, exchange));
  }

  /** Connect compresses as the client likes; REST is not compressed. */
  function varyOf({ method, rest }: Call, httpMethod: string): string | undefined {
    const isCached = isPublic && httpMethod === "GET" && rest === undefined && routerOptions.isPublicRead?.(method);
    return isCached ? "Accept-Encoding" : undefined;
  }

  /** A caller without access is told so, whatever the body. */
  async function refuseTooLong(method: DescMethod, exchange: Exchange): Promise<void> {
    try {
      await options.authorize(method, new NodeHeaders(exchange.headers));
    } catch (error) {
      exchange.refuse(toConnectError(error, method.parent.file.proto.package));
      return;
    }
    const error = new ConnectError(`the body is larger than ${readMaxBytes} bytes`, Code.ResourceExhausted);
    exchange.refuse(withHttpStatus(error, 413));
  }

  return {
    plan(head) {
      const classified = classify(head.method, head.url);
      if (classified.kind === "call") return planCall(classified, head);
      if (classified.kind === "fastify" || head.source === "stream") return undefined;
      switch (classified.kind) {
        case "no_method":
          return {
            ...noCall,
            answer: (exchange) => exchange.refuse(new ConnectError("there is no such method", Code.Unimplemented)),
          };
        case "method_not_allowed":
          return { ...noCall, answer: (exchange) => exchange.refuseMethod(classified.allowed) };
        case "no_route":
          return {
            ...noCall,
            answer(exchange) {
              const { request, response } = exchange.node();
              const held = holdBytes(exchange.headers, exchange.connection, undefined, undefined);
              return handleNodeRequest(transcoder, request, response, exchange.said, classified.rest, held);
            },
          };
      }
    },
    close: () => forwarding.close(),
  };
}

/** Connect's handlers of what is hosted here, as far as this port exposes it. */
function handlersOf(
  services: readonly DescService[],
  routes: readonly ((router: ConnectRouter) => void)[],
  routerOptions: RouterOptions,
) {
  const exposed = new Set(services.flatMap(({ methods }) => methods));
  const router = createConnectRouter({ ...routerOptions, acceptCompression: compressions });
  for (const register of routes) register(router);
  return router.handlers
    .filter(({ method }) => exposed.has(method))
    .map((handler) => checkMessages(handler, readableMessages(handler.method, routerOptions)));
}
