import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import Fastify, { type FastifyReply, type FastifyRequest, type FastifyServerFactory } from "fastify";
import type { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { type Authorize, reachableServices } from "./access.ts";
import { addApiDocs } from "./api-docs.ts";
import { callMethods } from "./call-methods.ts";
import { type AddressSeal, clientAddressHeader, clientOf, peerOf, type TrustsProxy } from "./client-address.ts";
import type { Neighbour } from "./clients.ts";
import { explainJsonErrors } from "./connect-json-errors.ts";
import { type ConnectionLimits, limitConnections } from "./connection-limits.ts";
import { allowOrigins } from "./cors.ts";
import { toConnectError } from "./errors.ts";
import { addHealth } from "./health.ts";
import { onePortServerFactory, portOf } from "./one-port.ts";
import { type AnyRequest, type AnyResponse, writeProtocolError } from "./protocol-error.ts";
import { createRemoteCalls } from "./remote-calls.ts";
import { withHttpStatus } from "./rest/http-status.ts";
import { handleNodeRequest, toHeaders } from "./rest/node-handler.ts";
import { createTranscoder } from "./rest/transcoder.ts";
import { type RouterOptions, readMaxBytes } from "./router-options.ts";
import { createRouting, type Destination } from "./routing.ts";
import { setSecurityHeaders } from "./security-headers.ts";
import { blameUndecodable } from "./undecodable-messages.ts";

export interface ServerOptions {
  /** Of the module whose port this is. */
  readonly name: string;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** What the port answers for. */
  readonly services: readonly DescService[];
  /** The origins whose pages may call from a browser; "*" for any. */
  readonly corsOrigins: readonly string[];
  /** INTERNAL methods don't exist on a public port. */
  readonly isPublic: boolean;
  /** On a public port: whom to believe about where requests come from. */
  readonly trustsProxy: TrustsProxy;
  readonly connectionLimits: ConnectionLimits;
  /** What the port is described by in OpenAPI, in JSON; undefined for a port that does not describe itself. */
  readonly openApi: Uint8Array | undefined;
  readonly addressSeal: AddressSeal;
  /** How to register a service that is hosted in this process; the others are forwarded to their neighbours. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  /** Why a call of a hosted method is refused before it is read; undefined when it is not. */
  refusal(method: DescMethod): DomainError | undefined;
  /** Counts connections and calls that are refused before they are read; the rest is counted by the interceptors. */
  readonly metrics: Metrics | undefined;
  readonly neighbours: readonly Neighbour[];
  readonly routerOptions: RouterOptions;
  readonly authorize: Authorize;
  /** Everything that keeps it from doing its work; empty when it is ready. */
  missing(): Promise<readonly string[]>;
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

/** What frames a message: gRPC's and Connect's envelope. */
const envelopeBytes = 5;

/**
 * Opens a port that speaks Connect, gRPC and gRPC-Web (JSON and binary) and REST, over HTTP/1.1 and HTTP/2 without TLS.
 * Calls to hosted services are answered here; those to other services cross as bytes, once the gate has let them.
 */
export async function listen(options: ServerOptions): Promise<RpcServer> {
  const { isPublic, log } = options;
  const services = reachableServices(options.services, isPublic);
  const routing = createRouting(services);
  // Services of one module share its routes.
  const routes = [...new Set(services.map((service) => options.hosted(service)))].filter((one) => one !== undefined);
  const transcoder = createTranscoder({ services, invoke: callMethods(routes, options.routerOptions), readMaxBytes });
  const remote = createRemoteCalls(options);

  const app = Fastify({
    serverFactory: openPort(options),
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: (_error, request, reply) => {
      reply.hijack();
      writeProtocolError(request.raw, reply.raw, new ConnectError("the path is malformed", Code.InvalidArgument));
    },
  });
  // Bodies stay unread: whoever answers reads them, and only once the caller may call.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  await allowOrigins(app, options.corsOrigins);
  addHealth(app, options);
  if (options.openApi !== undefined) addApiDocs(app, options.openApi);
  app.decorateRequest("destination");
  // Refused before anybody reads: what is refused under load has to be cheap, and a body that is given up halfway costs its
  // connection, and whoever shares it.
  app.addHook("onRequest", async (request, reply) => {
    const destination = routing.find(request.method, request.raw.url ?? "/");
    request.setDecorator<Destination>("destination", destination);
    if (destination.kind !== "method") return;
    const { method } = destination;
    const refusal = options.refusal(method);
    const length = Number(request.headers["content-length"] ?? 0);
    if (refusal !== undefined) {
      // Kinds of errors are called as Connect calls their codes.
      options.metrics?.called(`${method.parent.typeName}/${method.name}`, refusal.kind, 0);
      refuse(request, reply, toldOnce(refusal, method));
    } else if (length > readMaxBytes + envelopeBytes && method.methodKind === "unary") {
      refuse(request, reply, await tooLarge(method, request.raw, options));
    }
  });
  await app.register(fastifyConnectPlugin, {
    ...options.routerOptions,
    routes(router) {
      for (const register of routes) register(router);
      const reachable = router.handlers.filter((handler) => routing.isReachable(handler.method));
      router.handlers.splice(0, router.handlers.length, ...reachable.map(explainJsonErrors).map(blameUndecodable));
    },
  });
  // Everything else: REST, and what is hosted elsewhere.
  app.setNotFoundHandler(async (request: FastifyRequest, reply: FastifyReply) => {
    takeOver(reply);
    const destination = request.getDecorator<Destination>("destination");
    if (destination.kind === "no_method") {
      writeProtocolError(request.raw, reply.raw, new ConnectError("there is no such method", Code.Unimplemented));
    } else if (destination.kind === "method" && options.hosted(destination.method.parent) === undefined) {
      await remote.call(destination.method, request.raw, reply.raw);
    } else {
      await handleNodeRequest(transcoder, request.raw, reply.raw);
    }
  });
  await app.listen({ host: options.host, port: options.port });
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

const told = new WeakMap<DomainError, ConnectError>();

/** What a caller is told whose call was refused before it was read; made once for an error that refuses many. */
function toldOnce(refusal: DomainError, method: DescMethod): ConnectError {
  const known = told.get(refusal) ?? toConnectError(refusal, method.parent.file.proto.package);
  told.set(refusal, known);
  return known;
}

/** From here on the answer is not Fastify's; headers that its hooks have set stay. */
function takeOver(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value as string);
  reply.hijack();
}

function refuse(request: FastifyRequest, reply: FastifyReply, error: ConnectError): void {
  takeOver(reply);
  writeProtocolError(request.raw, reply.raw, error);
}

/** Before anything else: where a request comes from, and what every answer says, errors of the framework included. */
function openPort(options: ServerOptions): FastifyServerFactory {
  const { isPublic, trustsProxy, addressSeal } = options;
  const open = onePortServerFactory({
    admits: limitConnections(options.connectionLimits, trustsProxy, options),
    ...(isPublic ? {} : { streamResets: resetsBehindGateway }),
  });
  return (handle, fastifyOptions) =>
    open((request, response) => {
      greet(request, response);
      handle(request, response);
    }, fastifyOptions);

  function greet(request: AnyRequest, response: AnyResponse): void {
    const { headers } = request;
    if (!isPublic) {
      headers[clientAddressHeader] = addressSeal.open(String(headers[clientAddressHeader])) ?? peerOf(request.socket);
      return;
    }
    const { address, isHttps } = clientOf(request, trustsProxy);
    headers[clientAddressHeader] = address;
    setSecurityHeaders(response, isHttps);
  }
}

/** Who may not call at all is told so, whatever the body. */
async function tooLarge(method: DescMethod, request: AnyRequest, { authorize }: ServerOptions): Promise<ConnectError> {
  try {
    await authorize(method, toHeaders(request));
  } catch (error) {
    return toConnectError(error, method.parent.file.proto.package);
  }
  return withHttpStatus(new ConnectError(`the body is larger than ${readMaxBytes} bytes`, Code.ResourceExhausted), 413);
}
