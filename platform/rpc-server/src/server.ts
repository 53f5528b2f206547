import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import type { DomainError, Logger } from "@shop/core";
import { Health } from "@shop/gen/grpc/health/v1/health_pb";
import { resumption } from "@shop/gen/shop/common/v1/resumption_pb";
import {
  type AnyRequest,
  type AnyResponse,
  bodyOf,
  type ConnectionLimits,
  containRejection,
  type HoldBytes,
  limitConnections,
  NodeHeaders,
  normalizeTarget,
  onePortServerFactory,
  portOf,
  type TrustsProxy,
} from "@shop/http-port";
import { createTranscoder, handleNodeRequest, withHttpStatus } from "@shop/rest";
import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest, type FastifyServerFactory } from "fastify";
import { connectionOf, nodeCaller } from "./caller.ts";
import type { FindAtHand } from "./fast-path/cached-answers.ts";
import { compressions } from "./fast-path/compressions.ts";
import { createShortWay, type ShortWay } from "./fast-path/fast-path.ts";
import { nothingForwarded, type OpenForwarding } from "./forwarding.ts";
import { answerAsBinary, isGrpcWebText } from "./grpc-web-text.ts";
import { listenFailure } from "./listen-failure.ts";
import { reportNetworkErrors } from "./network-errors.ts";
import type { Authorize } from "./pipeline/authorize.ts";
import { type BufferedBytes, createHoldBytes } from "./pipeline/buffered-bytes.ts";
import { checkMessages } from "./pipeline/checked-messages.ts";
import { allowedInstead, createRouting, type Destination, type Routing } from "./pipeline/classify.ts";
import { createGreet, type Greet } from "./pipeline/client-address.ts";
import { createEarlyRefusals } from "./pipeline/early-refusals.ts";
import { toConnectError } from "./pipeline/errors.ts";
import { callMethods, collectMethods } from "./pipeline/invoke.ts";
import { messageCheck } from "./pipeline/message-limits.ts";
import { isTooLong } from "./pipeline/message-sizes.ts";
import { writeMethodNotAllowed, writeProtocolError } from "./pipeline/protocol-error.ts";
import { readableMessages } from "./pipeline/readable-messages.ts";
import type { RouterOptions } from "./pipeline/router-options.ts";
import { moveTicket } from "./pipeline/stream-tickets.ts";
import { addApiDocs } from "./plugins/api-docs.ts";
import { allowOrigins } from "./plugins/cors.ts";
import { addHealth, healthRoutes } from "./plugins/health.ts";
import { reflectionRoutes, reflectionServices } from "./plugins/reflection.ts";
import type { PortMetrics } from "./port-metrics.ts";
import { portRefusals } from "./port-refusals.ts";
import { reportRefusedConnections } from "./refused-connections.ts";
import { ensureUsableAuthority } from "./usable-authority.ts";

export interface ServerOptions {
  /** Of the module whose port this is. */
  readonly name: string;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** What the port answers for, with the methods that it shows. */
  readonly services: readonly DescService[];
  /** The origins whose pages may call from a browser; "*" for any. */
  readonly corsOrigins: readonly string[];
  /** A public port says itself who the client is, and its answers say what browsers have to know. */
  readonly isPublic: boolean;
  /** On a public port: whom to believe about where requests come from. */
  readonly trustsProxy: TrustsProxy;
  /** Undefined for a port that holds as many connections as come. */
  readonly connectionLimits: ConnectionLimits | undefined;
  /** The budget of the process for what waits in memory. */
  readonly bufferedBytes: BufferedBytes;
  /** What the port is described by in OpenAPI, in JSON; undefined for a port that does not describe itself. */
  readonly openApi: Uint8Array | undefined;
  /** Of a port that is not public: whether this is the credential of a service that is believed about clients' addresses. */
  readonly trustsForwarder: (credential: string) => boolean;
  /** How to register a service that is hosted in this process; calls of the others are forwarded. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  /** Why a call of a hosted method is refused before it is read; undefined when it is not. */
  refusal(method: DescMethod): DomainError | undefined;
  /** Counts connections and calls that are refused before they are read; the rest is counted by the interceptors. */
  readonly metrics: PortMetrics | undefined;
  /** How calls of services reach the processes that host them; absent for a port that hosts all it exposes. */
  readonly forwarding?: OpenForwarding;
  /** How REST calls the fields of its answers; "proto" if absent. */
  readonly jsonNames?: "proto" | "lowerCamelCase";
  /** Whether callers can ask what the services are. */
  readonly reflection: boolean;
  readonly routerOptions: RouterOptions;
  /** Whether the usual unary calls are answered by lean/, or everything by Connect's own handlers. */
  readonly leanCalls: boolean;
  /** Answers that the usual unary calls of hosted methods need not wait for. */
  readonly findAtHand: FindAtHand;
  readonly authorize: Authorize;
  /** Whether tickets open streams (stream-tickets.ts); not in front of others' services, whose queries are their own. */
  readonly streamTickets?: boolean;
  /** What keeps services from doing their work, as a person would say it; nothing when they can. */
  missing(services: readonly DescService[]): Promise<readonly string[]>;
  /** Fires before `close()`: streams that are forwarded end then, since they might never end by themselves. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

export interface RpcServer {
  readonly name: string;
  readonly port: number;
  /** Lets running calls finish. */
  close(): Promise<void>;
}

/** A gateway passes the cancellations of all its callers on over a few connections. */
const resetsBehindGateway = { burst: 100_000, perSecond: 10_000 };

/**
 * Opens a port that speaks Connect, gRPC and gRPC-Web (JSON and binary) and REST, over HTTP/1.1 and HTTP/2 without TLS.
 * Calls to hosted services are answered here; those to other services cross as bytes, once the gate has let them.
 */
export async function listen(options: ServerOptions): Promise<RpcServer> {
  const { services, log } = options;
  const { readMaxBytes } = options.routerOptions;
  const own = ownServices(options);
  // Services of one module share its routes.
  const routes = [...new Set(services.map((service) => options.hosted(service)))].filter((one) => one !== undefined);
  const isHosted = (method: DescMethod) => options.hosted(method.parent) !== undefined;
  const holdBytes = createHoldBytes(options);
  const remote = options.forwarding?.({ ...options, holdBytes }) ?? nothingForwarded;
  const specs = collectMethods(routes);
  const invokeHosted = callMethods(specs, options.routerOptions);
  const transcoder = createTranscoder({
    services,
    invoke: (method, call) => (isHosted(method) ? invokeHosted(method, call) : remote.invoke(method, call)),
    readMaxBytes,
    ...(options.routerOptions.maxTimeoutMs && { maxTimeoutMs: options.routerOptions.maxTimeoutMs }),
    checkOf: messageCheck,
    resumptionOf: declaredResumptionOf,
    ...(options.jsonNames && { jsonNames: options.jsonNames }),
  });
  /** What is read by GET besides the methods of services: health and documentation. */
  const pages = new Set<string>();
  const routing = createRouting([...services, ...own.services], transcoder, pages);

  const handlers = connectHandlers(options, routes, routing);
  const greet = createGreet(options);
  const earlyRefusals = createEarlyRefusals(options);
  const shortWay = options.leanCalls
    ? createShortWay({ ...options, handlers, specs, routing, transcoder, greet, remote, earlyRefusals, holdBytes })
    : undefined;
  const app = Fastify({
    serverFactory: openPort(options, greet, holdBytes, shortWay, answerWithoutFastify),
    routerOptions: { maxParamLength: 16_384 },
  });
  // Bodies stay unread: whoever answers reads them, and only once the caller may call.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.setErrorHandler((error: Partial<FastifyError>, request, reply) => {
    takeOver(reply);
    const { statusCode = 500, message = "" } = error;
    if (statusCode >= 500) log.error({ err: error }, "a request failed");
    const told =
      statusCode >= 500
        ? new ConnectError("internal error", Code.Internal)
        : withHttpStatus(new ConnectError(message, Code.InvalidArgument), statusCode);
    writeProtocolError(request.raw, reply.raw, told);
  });
  await allowOrigins(app, options.corsOrigins);
  app.addHook("onRoute", ({ method, url }) => {
    if (method === "GET") pages.add(url);
  });
  addHealth(app, options);
  if (options.openApi !== undefined) addApiDocs(app, options.openApi);
  app.decorateRequest("destination");
  // Refused before anybody reads: a body that is given up halfway costs its connection, and whoever shares it.
  app.addHook("onRequest", async (request, reply) => {
    const destination = routing.find(request.method, request.raw.url ?? "/");
    request.setDecorator<Destination>("destination", destination);
    if (destination.kind !== "method") return;
    const { method } = destination;
    const allowed = allowedInstead(destination, request.method);
    if (allowed !== undefined) {
      takeOver(reply);
      writeMethodNotAllowed(request.raw, reply.raw, allowed);
      return;
    }
    // Compressed as the caller likes; REST is not.
    if (
      options.isPublic &&
      request.method === "GET" &&
      destination.rest === undefined &&
      options.routerOptions.isPublicRead?.(method)
    ) {
      const others = reply.getHeader("vary");
      reply.header("vary", others === undefined ? "Accept-Encoding" : `${others}, Accept-Encoding`);
    }
    const refusal = earlyRefusals.of(method);
    if (refusal !== undefined) {
      takeOver(reply);
      earlyRefusals.tell(method, refusal, request.raw, reply.raw);
    } else if (
      isTooLong(request.headers, readMaxBytes) &&
      method.methodKind === "unary" &&
      !own.services.includes(method.parent)
    ) {
      const error = await tooLarge(method, request.raw, options);
      takeOver(reply);
      writeProtocolError(request.raw, reply.raw, error);
    }
  });
  app.addHook("preHandler", async (request, reply) => {
    ensureUsableAuthority(request.raw);
    const held = heldFor(request.raw, request.getDecorator<Destination>("destination"));
    request.body = bodyOf(request.raw, reply.raw, held);
  });
  await app.register(fastifyConnectPlugin, { routes: own.routes, readMaxBytes: ownReadMaxBytes });
  await app.register(fastifyConnectPlugin, {
    readMaxBytes,
    routes: (router) => router.handlers.push(...handlers),
  });
  // Everything else: REST, and what is hosted elsewhere.
  app.setNotFoundHandler(async (request: FastifyRequest, reply: FastifyReply) => {
    takeOver(reply);
    await answer(request.raw, reply.raw, request.getDecorator<Destination>("destination"));
  });

  async function answer(request: AnyRequest, response: AnyResponse, destination: Destination): Promise<void> {
    if (destination.kind === "no_method") {
      writeProtocolError(request, response, new ConnectError("there is no such method", Code.Unimplemented));
    } else if (isForwarded(destination)) {
      await remote.call(destination.method, nodeCaller(request, response));
    } else {
      if (destination.kind === "method" && !isHosted(destination.method)) remote.addForwardedHeaders(request);
      await handleNodeRequest(transcoder, request, response, {}, destination.rest, heldFor(request, destination));
    }
  }

  /** Answers a request by an unusual HTTP method, of which Fastify would say something of its own. */
  function answerWithoutFastify(request: AnyRequest, response: AnyResponse): boolean {
    const method = request.method ?? "GET";
    if (routedMethods.has(method)) return false;
    const destination = routing.find(method, request.url ?? "/");
    const allowed = allowedInstead(destination, method);
    if (allowed === undefined) containRejection(response, answer(request, response, destination));
    else writeMethodNotAllowed(request, response, allowed);
    return true;
  }
  function heldFor(request: AnyRequest, destination: Destination) {
    const method = destination.kind === "method" ? destination.method : undefined;
    // Of a stream one message is read at a time.
    const maxBytes = method?.methodKind === "unary" ? undefined : readMaxBytes;
    return holdBytes(request.headers, connectionOf(request), method?.parent.file.proto.package, maxBytes);
  }
  function isForwarded(destination: Destination): destination is Destination & { kind: "method" } {
    if (destination.kind !== "method" || isHosted(destination.method)) return false;
    return destination.rest === undefined || remote.carries(destination.method, true);
  }

  await app.listen({ host: options.host, port: options.port }).catch((error) => {
    throw listenFailure(error, options.name, options.host, options.port);
  });
  const port = portOf(app.server);
  log.debug({ port }, "listening");
  return {
    name: options.name,
    port,
    async close() {
      await app.close();
      remote.close();
    },
  };
}

function declaredResumptionOf(method: DescMethod) {
  return hasOption(method, resumption) ? getOption(method, resumption) : undefined;
}

/** By any other HTTP method nothing is called, unless a rule of google.api.http names it. */
const routedMethods: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);

/** What these are asked is short. */
const ownReadMaxBytes = 65_536;

/** What every port answers for by itself, whoever asks; a service of the same name goes before. */
function ownServices(options: ServerOptions) {
  const given = new Set(options.services.map(({ typeName }) => typeName));
  const services = [Health, ...(options.reflection ? reflectionServices : [])].filter(
    ({ typeName }) => !given.has(typeName),
  );
  const registers = [
    healthRoutes(options),
    ...(options.reflection ? [reflectionRoutes([...options.services, ...services])] : []),
  ];
  return { services, routes };

  function routes(router: ConnectRouter): void {
    for (const register of registers) register(router);
    const wanted = router.handlers.filter(({ service }) => !given.has(service.typeName));
    router.handlers.splice(0, router.handlers.length, ...wanted);
  }
}

/** From here on the answer is not Fastify's; headers that its hooks have set stay. */
function takeOver(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value as string);
  reply.hijack();
}

const malformedTarget = new ConnectError(
  "the target of the request is malformed, or has dot segments or escapes that no path here needs",
  Code.InvalidArgument,
);

function hostOf({ headers }: AnyRequest): string | undefined {
  return (headers[":authority"] as string | undefined) ?? headers.host;
}

/** Before anything else: where a request comes from, and what every answer says, errors of the framework included. */
function openPort(
  options: ServerOptions,
  greet: Greet,
  holdBytes: HoldBytes,
  shortWay: ShortWay | undefined,
  answerWithoutFastify: (request: AnyRequest, response: AnyResponse) => boolean,
): FastifyServerFactory {
  const { isPublic, trustsProxy } = options;
  const open = onePortServerFactory({
    holdBytes,
    ...(options.connectionLimits && {
      admits: limitConnections(options.connectionLimits, trustsProxy, reportRefusedConnections(options)),
    }),
    onNetworkError: reportNetworkErrors(options),
    refusals: portRefusals,
    ...(isPublic ? {} : { streamResets: resetsBehindGateway }),
    ...(shortWay && {
      answersStream(stream, headers) {
        const target = normalizeTarget(headers[":path"] ?? "", headers[":authority"] ?? headers.host);
        // The handler below refuses it, or lets it be answered as binary.
        if (target === undefined || isGrpcWebText({ headers })) return false;
        headers[":path"] = target;
        return shortWay.stream(stream, headers);
      },
    }),
  });
  return (handle, fastifyOptions) => {
    const server = open((request, response) => {
      const target = normalizeTarget(request.url ?? "", hostOf(request));
      if (target === undefined) {
        writeProtocolError(request, response, malformedTarget, greet(request));
        return;
      }
      request.url = target;
      if (options.streamTickets) moveTicket(request);
      if (isGrpcWebText(request)) answerAsBinary(request, response);
      // A port that closes has Fastify end its connections, too.
      if (server.listening && shortWay?.request(request, response)) return;
      for (const [name, value] of Object.entries(greet(request))) response.setHeader(name, value);
      if (answerWithoutFastify(request, response)) return;
      handle(request, response);
    }, fastifyOptions);
    return server;
  };
}

/** Connect's handlers of what is hosted here, as far as this port shows it. */
function connectHandlers(
  { routerOptions }: ServerOptions,
  routes: readonly ((router: ConnectRouter) => void)[],
  routing: Routing,
): UniversalHandler[] {
  const router = createConnectRouter({ ...routerOptions, acceptCompression: compressions });
  for (const register of routes) register(router);
  const reachable = router.handlers.filter((handler) => routing.isReachable(handler.method));
  return reachable.map((handler) => checkMessages(handler, readableMessages(handler.method, routerOptions)));
}

/** Who may not call at all is told so, whatever the body. */
async function tooLarge(
  method: DescMethod,
  request: AnyRequest,
  { authorize, routerOptions: { readMaxBytes } }: ServerOptions,
): Promise<ConnectError> {
  try {
    await authorize(method, new NodeHeaders(request.headers));
  } catch (error) {
    return toConnectError(error, method.parent.file.proto.package);
  }
  return withHttpStatus(new ConnectError(`the body is larger than ${readMaxBytes} bytes`, Code.ResourceExhausted), 413);
}
