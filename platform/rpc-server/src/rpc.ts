import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { createLogger, type DomainError, type Logger } from "@shop/core";
import { Health } from "@shop/gen/grpc/health/v1/health_pb";
import { bodyOf, type ConnectionLimits, limitConnections, OnePortServer, type TrustsProxy } from "@shop/http-port";
import type { FastifyPluginAsync, FastifyServerFactory } from "fastify";
import { createEdge } from "./edge.ts";
import { connectionOf } from "./exchange.ts";
import type { FindCachedAnswer } from "./fast-path/cached-answers.ts";
import type { OpenForwarding } from "./forwarding.ts";
import { reportNetworkErrors } from "./network-errors.ts";
import type { Authorize } from "./pipeline/authorize.ts";
import { BufferedBytes, createHoldBytes } from "./pipeline/buffered-bytes.ts";
import { createIdentifyClient } from "./pipeline/client.ts";
import { createPipeline } from "./pipeline/pipeline.ts";
import { createRouterOptions, type RouterOptions } from "./pipeline/router-options.ts";
import type { CallerTraces } from "./pipeline/tracing.ts";
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
  /** The services that the port exposes. Methods missing from these descriptors do not exist on it. */
  readonly services: readonly DescService[];
  /** Returns the function that registers a hosted service; undefined for one whose calls are forwarded. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  /** Authorizes each call before any of the body is read. */
  readonly authorize: Authorize;
  /** Interceptors and limits of every call; those of {@link createRouterOptions} by default. */
  readonly routerOptions?: RouterOptions;
  /** Forwards calls to the processes that host their services; absent if the port hosts every service it exposes. */
  readonly forwarding?: OpenForwarding;
  /** Load shedding: the error to refuse a call with before it is read; undefined, the default, to admit it. */
  refusal?(method: DescMethod): DomainError | undefined;
  /** Cached answers to ordinary unary calls of hosted methods. */
  readonly findCachedAnswer?: FindCachedAnswer;
  /** Whether ordinary unary calls take the fast path; otherwise Connect's handlers serve all calls. True by default. */
  readonly fastPath?: boolean;
  /** Field names in REST answers; "proto" by default. */
  readonly jsonNames?: "proto" | "lowerCamelCase";
  /**
   * Whether tickets in the query open streams (pipeline/stream-tickets.ts). Leave it off in front of other vendors' services,
   * which may use the parameter themselves.
   */
  readonly streamTickets?: boolean;

  /** A public port determines the client address itself, and adds headers for browsers to its answers. False by default. */
  readonly isPublic?: boolean;
  /**
   * Whether callers choose the trace of a call and whether it is sampled. By default a public port begins a new trace that is
   * linked to the caller's, and an internal port continues it.
   */
  readonly callerTraces?: CallerTraces;
  /** On a public port: which proxies are trusted to report the client address; none by default. */
  readonly trustsProxy?: TrustsProxy;
  /**
   * On an internal port: whether this credential belongs to a forwarder trusted to report the client address; none is by
   * default.
   */
  readonly trustsForwarder?: (credential: string) => boolean;
  /** The origins whose pages may call from a browser; "*" for any, none by default. */
  readonly corsOrigins?: readonly string[];
  /** Unlimited by default. */
  readonly connectionLimits?: ConnectionLimits | undefined;
  /** The buffer budget of the process, for unfinished requests and unread answers; unlimited by default. */
  readonly bufferedBytes?: BufferedBytes;

  /** The port's OpenAPI document in JSON, for `/openapi.json` and a page at `/docs`; neither by default. */
  readonly openApi?: Uint8Array | undefined;
  /** Whether gRPC server reflection answers; true by default. */
  readonly reflection?: boolean;
  /** The processes that share the port; 1 by default. */
  readonly workers?: number;
  /** Lists the reasons why services are not ready, in words, for `/readyz` and grpc.health.v1; none by default. */
  missing?(services: readonly DescService[]): Promise<readonly string[]>;
  /** Fires when the process begins to drain, before the port closes: forwarded streams end then. */
  readonly stopping?: AbortSignal;
  /** Errors on standard output by default. */
  readonly log?: Logger;
  readonly metrics?: PortMetrics | undefined;
}

/** RPC and REST calls in a Fastify application. */
export interface Rpc {
  /** For `Fastify({ serverFactory })`: HTTP/1.1 and HTTP/2 on one port; calls bypass Fastify's routing. */
  readonly serverFactory: FastifyServerFactory;
  /** Calls, CORS, health, reflection and documentation, for the whole application. */
  readonly plugin: FastifyPluginAsync;
  /**
   * Call it some time before the application closes: `/readyz` and grpc.health.v1 report from now on that the port is not ready,
   * and clients learn that their connections are about to be closed. All calls are still served.
   */
  announceClose(): void;
  /** Closes the connections to other processes. */
  close(): void;
}

const defaults = {
  refusal: () => undefined,
  findCachedAnswer: () => undefined,
  fastPath: true,
  isPublic: false,
  trustsProxy: () => false,
  trustsForwarder: () => false,
  corsOrigins: [],
  connectionLimits: undefined,
  openApi: undefined,
  reflection: true,
  workers: 1,
  missing: async () => [],
  metrics: undefined,
} satisfies Partial<RpcOptions>;

/** A gateway forwards the cancellations of all its callers over few connections. */
const resetsBehindGateway = { burst: 100_000, perSecond: 10_000 };
/** For requests to the port's own services (health, reflection), which are short. */
const ownReadMaxBytes = 65_536;

/**
 * Serves services by Connect, gRPC, gRPC-Web (JSON and binary) and REST in a Fastify application. Calls of hosted services are
 * answered here, the others are forwarded. Requests that are not calls go to the application's routes.
 */
export function createRpc(options: RpcOptions): Rpc {
  const { authorize, log = createLogger("error") } = options;
  const port = {
    ...defaults,
    bufferedBytes: new BufferedBytes(0),
    stopping: new AbortController().signal,
    callerTraces: options.isPublic ? ("linked" as const) : ("continued" as const),
    routerOptions: options.routerOptions ?? createRouterOptions({ authorize, log, metrics: options.metrics }),
    ...options,
    log,
  };
  const { isPublic } = port;
  const holdBytes = createHoldBytes(port);
  let isClosing = false;
  let server: unknown;
  const health = { ...port, isClosing: () => isClosing };
  const own = ownServices(health);
  const pages = new Set<string>();
  const pipeline = createPipeline({ ...port, holdBytes, pluginServices: own.services, pages });
  const edge = createEdge({
    ...port,
    pipeline,
    identifyClient: createIdentifyClient(port),
    mux: !isPublic && port.fastPath,
    onePort: {
      holdBytes,
      workers: port.workers,
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
    server = app.server;
    addHealth(app, health);
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
    // Registers for the whole application (https://fastify.dev/docs/latest/Reference/Plugins/#handle-the-scope).
    plugin: Object.assign(plugin, { [Symbol.for("skip-override")]: true }),
    announceClose() {
      isClosing = true;
      if (server instanceof OnePortServer) server.announceClose();
    },
    close: pipeline.close,
  };
}

/** The port's own services, for any caller. A hosted service of the same name takes precedence. */
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
