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
import { type AnswerMux, muxCalls } from "../fast-path/mux-calls.ts";
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
import { hostedMessageChecks } from "./message-checks.ts";
import { messageCheck } from "./message-limits.ts";
import { isTooLong } from "./message-sizes.ts";
import type { RouterOptions } from "./router-options.ts";
import { type CallerTraces, tracedCalls } from "./tracing.ts";

export interface PipelineOptions extends ForwardingPort {
  /** A public port adds `vary` for compression to cacheable answers. */
  readonly isPublic: boolean;
  readonly callerTraces: CallerTraces;
  /** Returns the function that registers a hosted service; undefined for one whose calls are forwarded. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  /** Forwards calls to the processes that host their services; absent if the port hosts every service it exposes. */
  readonly forwarding?: OpenForwarding;
  /** The error to refuse a call with before it is read; undefined to admit it. */
  refusal(method: DescMethod): DomainError | undefined;
  /** Field names in REST answers; "proto" by default. */
  readonly jsonNames?: "proto" | "lowerCamelCase";
  /** Whether ordinary unary calls take the fast path; otherwise Connect's handlers serve all calls. */
  readonly fastPath: boolean;
  /** Cached answers to ordinary unary calls. */
  readonly findCachedAnswer: FindCachedAnswer;
  /** Services that Fastify plugins serve. */
  readonly pluginServices: readonly DescService[];
  /** Paths of Fastify routes for GET; may grow until the first request. */
  readonly pages: ReadonlySet<string>;
}

/** The plan for one request. Its exchange may be created later, when further headers of the answer are known. */
export interface Plan {
  /** False if the request is not a call: then hooks and routes of the Fastify application come first. */
  readonly isFinal: boolean;
  /** Request headers that the answer depends on, in addition to those in `exchange.defaultHeaders`. */
  readonly vary: string | undefined;
  /** Answers the request. Never rejects. */
  answer(exchange: Exchange): Promise<void> | void;
}

/** Executes a plan. An exception in it ends the guarded stream or response, and nothing else. */
export function carryOut(plan: Plan, exchange: Exchange, guarded: EventEmitter): void {
  const answered = plan.answer(exchange);
  if (answered !== undefined) containRejection(guarded, answered);
}

const noCall = { isFinal: false, vary: undefined };

export interface Pipeline {
  /**
   * Plans a request; undefined if a Fastify route answers it, or if a stream has to become a Node request first. Pure: nothing
   * is read, counted or answered yet.
   */
  plan(head: RequestHead): Plan | undefined;
  readonly answerMux: AnswerMux;
  close(): void;
}

/**
 * The path of every request: classify, admit, authorize, decode, validate, invoke, encode. The request line determines the
 * method; refusals that need nothing else come first; then the first protocol that takes the call does the rest
 * (protocols/protocol.ts).
 */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { services, isPublic, routerOptions, holdBytes } = options;
  const { readMaxBytes } = routerOptions;
  const isHosted = (method: DescMethod) => options.hosted(method.parent) !== undefined;
  const forwarding = options.forwarding?.(options) ?? nothingForwarded;
  const hold: HoldCall = ({ method }, { headers, connection }) =>
    // Of a stream one message is buffered at a time.
    holdBytes(
      headers,
      connection,
      method.parent.file.proto.package,
      method.methodKind === "unary" ? undefined : readMaxBytes,
    );

  // Services of one module share a register function.
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
  const traced = tracedCalls(options.callerTraces);
  const handlers = handlersOf(services, routes, routerOptions);
  const unary = unaryMethods(handlers, methods, {
    ...routerOptions,
    findCachedAnswer: options.findCachedAnswer,
    checkOf: messageCheck,
    decodeJson,
  });
  const findCachedAnswer = options.fastPath ? options.findCachedAnswer : () => undefined;
  const protocols: readonly Protocol[] = [
    ...(options.fastPath ? [fastConnectCalls(unary, hold), fastGrpcCalls(unary, hold)] : []),
    forwardedCalls(forwarding),
    restCalls({ transcoder, findCachedAnswer, forwarding, hold }),
    connectHandlers(handlers, hold),
  ];

  function planCall(call: Call, head: RequestHead): Plan | undefined {
    const { method } = call;
    const isUnary = method.methodKind === "unary";
    const refusal = admission.refusal(method);
    const isRefused = refusal !== undefined || (isUnary && isTooLong(head.headers, readMaxBytes));
    // Refusals and streaming calls need Node's request object.
    if (head.source === "stream" && (isRefused || !isUnary)) return undefined;
    const vary = varyOf(call, head.method);
    const planned = (answer: Plan["answer"]): Plan => ({ isFinal: true, vary, answer: traced(call, answer) });
    if (refusal !== undefined) return planned((exchange) => admission.refuse(method, refusal, exchange));
    if (isRefused) return planned((exchange) => refuseTooLong(method, exchange));
    const protocol = protocols.find((one) => one.takes(call, head));
    return protocol && planned((exchange) => protocol.answer(call, exchange));
  }

  /** Connect's answers may be compressed; REST's are not. */
  function varyOf({ method, rest }: Call, httpMethod: string): string | undefined {
    const isCached = isPublic && httpMethod === "GET" && rest === undefined && routerOptions.isPublicRead?.(method);
    return isCached ? "Accept-Encoding" : undefined;
  }

  /** Authorization is checked first, so that a caller without access learns only that. */
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
              return handleNodeRequest(transcoder, request, response, exchange.defaultHeaders, classified.rest, held);
            },
          };
      }
    },
    answerMux: muxCalls({ classify, traced, admission, unary, transcoder, findCachedAnswer }),
    close: () => forwarding.close(),
  };
}

/** Connect's handlers of the hosted methods that this port exposes. */
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
    .map((handler) => checkMessages(handler, hostedMessageChecks(handler.method, routerOptions)));
}
