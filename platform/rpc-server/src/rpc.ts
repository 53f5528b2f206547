import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { createLogger, type DomainError, type Logger } from "@shop/core";
import { Health } from "@shop/gen/grpc/health/v1/health_pb";
import { bodyOf, type ConnectionLimits, limitConnections, type TrustsProxy } from "@shop/http-port";
import type { FastifyPluginAsync, FastifyServerFactory } from "fastify";
import { createEdge } from "./edge.ts";
import { connectionOf } from "./exchange.ts";
import type { FindCachedAnswer } from "./fast-path/cached-answers.ts";
import type { OpenForwarding } from "./forwarding.ts";
import { reportNetworkErrors } from "./network-errors.ts";
import type { Authorize } from "./pipeline/authorize.ts";
import { BufferedBytes, createHoldBytes } from "./pipeline/buffered-bytes.ts";
import { createNoteClient } from "./pipeline/client.ts";
import { createPipeline } from "./pipeline/pipeline.ts";
import { createRouterOptions, type RouterOptions } from "./pipeline/router-options.ts";
import { addApiDocs } from "./plugins/api-docs.ts";
import { addCalls } from "./plugins/calls.ts";
import { allowOrigins } from "./plugins/cors.ts";
import { addHealth, healthRoutes } from "./plugins/health.ts";
import { reflectionRoutes, reflectionServices } from "./plugins/reflection.ts";
import type { PortMetrics } from "./port-metrics.ts";
import { portRefusals } from "./port-refusals.ts";
import { reportRefusedConnections } from "./refused-connections.ts";
import { ensureUsableAuthority } from "./usable-authority.ts";

export interface RpcOptions {
  /** What the port exposes: methods that are not in these descriptors are not there. */
  readonly services: readonly DescService[];
  /** How to register a service that this process hosts; undefined for one whose calls are forwarded. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  /** Decides who may call, before any of the body is read. */
  readonly authorize: Authorize;
  /** Interceptors and limits of every call; those of {@link createRouterOptions} by default. */
  readonly routerOptions?: RouterOptions;
  /** How calls reach the processes that host their services; absent for a port that hosts all it exposes. */
  readonly forwarding?: OpenForwarding;
  /** Load shedding: why a call is refused before it is read; undefined when it is admitted. All are by default. */
  refusal?(method: DescMethod): DomainError | undefined;
  /** Cached answers to ordinary unary calls of hosted methods. */
  readonly findCachedAnswer?: FindCachedAnswer;
  /** Whether ordinary unary calls take the fast path, which is the default, or all calls Connect's own handlers. */
  readonly leanCalls?: boolean;
  /** How REST names the fields of its answers; "proto" by default. */
  readonly jsonNames?: "proto" | "lowerCamelCase";
  /** Whether tickets open streams (pipeline/stream-tickets.ts); not in front of others' services, whose queries are their own. */
  readonly streamTickets?: boolean;

  /** A public port finds out which client a request comes from, and its answers have headers for browsers. False by default. */
  readonly isPublic?: boolean;
  /** On a public port: which proxies are believed about the client's address; none by default. */
  readonly trustsProxy?: TrustsProxy;
  /** On another port: whether this credential belongs to a forwarder that is believed about it; none does by default. */
  readonly trustsForwarder?: (credential: string) => boolean;
  /** The origins whose pages may call from a browser; "*" for any, none by default. */
  readonly corsOrigins?: readonly string[];
  /** Not limited by default. */
  readonly connectionLimits?: ConnectionLimits | undefined;
  /** The budget of the process for bytes that wait in memory; not limited by default. */
  readonly bufferedBytes?: BufferedBytes;

  /** OpenAPI of the port in JSON, for `/openapi.json` and a page at `/docs`; neither by default. */
  readonly openApi?: Uint8Array | undefined;
  /** Whether gRPC server reflection answers; true by default. */
  readonly reflection?: boolean;
  /** What keeps services from working, in words, for `/readyz` and grpc.health.v1; nothing by default. */
  missing?(services: readonly DescService[]): Promise<readonly string[]>;
  /** Fires when the process begins to drain, before the port closes: forwarded streams end then. */
  readonly stopping?: AbortSignal;
  /** Errors on standard output by default. */
  readonly log?: Logger;
  readonly metrics?: PortMetrics | undefined;
}

/** Calls in a Fastify application. */
export interface Rpc {
  /** For `Fastify({ serverFactory })`: HTTP/1.1 and HTTP/2 on one port, and calls that do not pass Fastify. */
  readonly serverFactory: FastifyServerFactory;
  /** Calls, CORS, health, reflection and documentation, for the whole application. */
  readonly plugin: FastifyPluginAsync;
  /** Ends connections to other processes. */
  close(): void;
}

const defaults = {
  refusal: () => undefined,
  findCachedAnswer: () => undefined,
  leanCalls: true,
  isPublic: false,
  trustsProxy: () => false,
  trustsForwarder: () => false,
  corsOrigins: [],
  connectionLimits: undefined,
  openApi: undefined,
  reflection: true,
  missing: async () => [],
  metrics: undefined,
} satisfies Partial<RpcOptions>;

/** A gateway passes the cancellations of all its callers on over a few connections. */
const resetsBehindGateway = { burst: 100_000, perSecond: 10_000 };
/** Of requests to what a port answers for by itself, which are short. */
const ownReadMaxBytes = 65_536;

/**
 * Serves services by Connect, gRPC and gRPC-Web (JSON and binary) and REST in a Fastify application. Calls of hosted services are answered
 * here, those of others are forwarded. The application's own routes answer what is no call.
 */
export function createRpc(options: RpcOptions): Rpc {
  const { authorize, log = createLogger("error") } = options;
  const port = {
    ...defaults,
    bufferedBytes: new BufferedBytes(0),
    stopping: new AbortController().signal,
    routerOptions: options.routerOptions ?? createRouterOptions({ authorize, log, metrics: options.metrics }),
    ...options,
    log,
  };
  const { isPublic } = port;
  const holdBytes = createHoldBytes(port);
  const own = ownServices(port);
  const pages = new Set<string>();
  const pipeline = createPipeline({ ...port, holdBytes, pluginServices: own.services, pages });
  const edge = createEdge({
    ...port,
    pipeline,
    noteClient: createNoteClient(port),
    onePort: {
      holdBytes,
      ...(port.connectionLimits && {
        admits: limitConnections(port.connectionLimits, port.trustsProxy, reportRefusedConnections(port)),
      }),
      onNetworkError: reportNetworkErrors(port),
      refusals: portRefusals,
      ...(isPublic ? {} : { streamResets: resetsBehindGateway }),
    },
  });

  const plugin: FastifyPluginAsync = async (app) => {
    app.addHook("onRoute", ({ method, url }) => {
      if (method === "GET") pages.add(url);
    });
    await allowOrigins(app, port.corsOrigins);
    addHealth(app, port);
    if (port.openApi !== undefined) addApiDocs(app, port.openApi);
    addCalls(app, edge);
    await app.register(async (scope) => {
      // Connect's handlers read the bodies.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
      scope.addHook("preHandler", async (request, reply) => {
        ensureUsableAuthority(request.raw);
        const held = holdBytes(request.raw.headers, connectionOf(request.raw), undefined, ownReadMaxBytes);
        request.body = bodyOf(request.raw, reply.raw, held);
      });
      await scope.register(fastifyConnectPlugin, { routes: own.routes, readMaxBytes: ownReadMaxBytes });
    });
  };
  return {
    serverFactory: edge.serverFactory,
    // For all of the application (https://fastify.dev/docs/latest/Reference/Plugins/#handle-the-scope).
    plugin: Object.assign(plugin, { [Symbol.for("skip-override")]: true }),
    close: pipeline.close,
  };
}

/** What every port answers for by itself, whoever asks; a service of the same name goes before. */
function ownServices(port: Parameters<typeof healthRoutes>[0] & { readonly reflection: boolean }) {
  const given = new Set(port.services.map(({ typeName }) => typeName));
  const services = [Health, ...(port.reflection ? reflectionServices : [])].filter(
    ({ typeName }) => !given.has(typeName),
  );
  const registers = [
    healthRoutes(port),
    ...(port.reflection ? [reflectionRoutes([...port.services, ...services])] : []),
  ];
  return { services, routes };

  function routes(router: ConnectRouter): void {
    for (const register of registers) register(router);
    const wanted = router.handlers.filter(({ service }) => !given.has(service.typeName));
    router.handlers.splice(0, router.handlers.length, ...wanted);
  }
}
