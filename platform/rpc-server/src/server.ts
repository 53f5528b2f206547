import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import type { DomainError, Logger } from "@shop/core";
import { Health } from "@shop/gen/grpc/health/v1/health_pb";
import { bodyOf, type ConnectionLimits, limitConnections, portOf, type TrustsProxy } from "@shop/http-port";
import { withHttpStatus } from "@shop/rest";
import Fastify, { type FastifyError } from "fastify";
import { createEdge } from "./edge.ts";
import { connectionOf } from "./exchange.ts";
import type { FindAtHand } from "./fast-path/cached-answers.ts";
import type { OpenForwarding } from "./forwarding.ts";
import { listenFailure } from "./listen-failure.ts";
import { reportNetworkErrors } from "./network-errors.ts";
import type { Authorize } from "./pipeline/authorize.ts";
import { type BufferedBytes, createHoldBytes } from "./pipeline/buffered-bytes.ts";
import { createNoteClient } from "./pipeline/client.ts";
import { createPipeline } from "./pipeline/pipeline.ts";
import type { RouterOptions } from "./pipeline/router-options.ts";
import { addApiDocs } from "./plugins/api-docs.ts";
import { callsPlugin, takeOver } from "./plugins/calls.ts";
import { allowOrigins } from "./plugins/cors.ts";
import { addHealth, healthRoutes } from "./plugins/health.ts";
import { reflectionRoutes, reflectionServices } from "./plugins/reflection.ts";
import type { PortMetrics } from "./port-metrics.ts";
import { portRefusals } from "./port-refusals.ts";
import { writeProtocolError } from "./protocols/protocol-error.ts";
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
 * Opens a port that speaks Connect, gRPC and gRPC-Web (JSON and binary) and REST, over HTTP/1.1 and HTTP/2 without TLS. Calls of hosted
 * services are answered here, those of others are forwarded; health, reflection and documentation are plugins of Fastify.
 */
export async function listen(options: ServerOptions): Promise<RpcServer> {
  const { isPublic, log } = options;
  const own = ownServices(options);
  const holdBytes = createHoldBytes(options);
  const pages = new Set<string>();
  const pipeline = createPipeline({ ...options, holdBytes, pluginServices: own.services, pages });
  const edge = createEdge({
    ...options,
    pipeline,
    noteClient: createNoteClient(options),
    onePort: {
      holdBytes,
      ...(options.connectionLimits && {
        admits: limitConnections(options.connectionLimits, options.trustsProxy, reportRefusedConnections(options)),
      }),
      onNetworkError: reportNetworkErrors(options),
      refusals: portRefusals,
      ...(isPublic ? {} : { streamResets: resetsBehindGateway }),
    },
  });
  const app = Fastify({ serverFactory: edge.serverFactory, routerOptions: { maxParamLength: 16_384 } });
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
  await app.register(callsPlugin(edge));
  // Bodies of the services below are read by Connect's handlers.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.addHook("preHandler", async (request, reply) => {
    ensureUsableAuthority(request.raw);
    const held = holdBytes(request.raw.headers, connectionOf(request.raw), undefined, ownReadMaxBytes);
    request.body = bodyOf(request.raw, reply.raw, held);
  });
  await app.register(fastifyConnectPlugin, { routes: own.routes, readMaxBytes: ownReadMaxBytes });

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
      pipeline.close();
    },
  };
}

/** Of requests to what a port answers for by itself, which are short. */
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
