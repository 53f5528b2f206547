import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  createAccessTokenVerifier,
  createAuthorize,
  createRevocations,
  createServiceCredentials,
  isPublicRead,
  openServiceKeys,
  reachableServices,
} from "@shop/auth";
import { createLogger, createPageTokens } from "@shop/core";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { createTransportTo, forwardTo, type TransportTo, upstreamNotReady } from "@shop/proxy";
import {
  BufferedBytes,
  createFindCachedAnswer,
  createRouterOptions,
  isUnavailable,
  listen,
  type RpcServer,
} from "@shop/rpc-server";
import { type HostProcess, standalone } from "./host-process.ts";
import { createMetrics } from "./metrics/metrics.ts";
import { requestValidator } from "./request-validator.ts";
import { revocationsRetentionMs } from "./revocation-stream.ts";
import type { ServiceModule, StartedModule } from "./service-module.ts";
import { readSettings } from "./settings.ts";
import { startTracing } from "./tracing/start-tracing.ts";

/** The timeout for fetching token keys: calls that need them have to end in time. */
const keysTimeoutMs = 2_000;

/** The modules that run in this process. */
export interface RunningModules {
  /** Reports not ready for DRAIN_SECONDS, then stops accepting calls, finishes running calls, then running events, then closes the connections to servers. */
  close(): Promise<void>;
}

/**
 * Starts modules: configuration, connections, the modules, their ports, their events and jobs, in this order.
 *
 * @throws ConfigError if the environment is invalid; also rejects if `signal` fires before everything has started
 */
export async function startModules(
  modules: readonly ServiceModule[],
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
  host: HostProcess = standalone(),
): Promise<RunningModules> {
  const { platform: settings, of: configOf } = readSettings(modules, environment);
  const processName = modules.length === 1 ? modules[0]!.name : "all-in-one";
  const log = createLogger(settings.LOG_LEVEL, host.logFields);
  const tracing = await startTracing(settings, { name: processName, instance: `${hostname()}/${process.pid}` });
  const metrics =
    settings.METRICS_PORT === undefined ? undefined : createMetrics(log, { exemplars: tracing !== undefined });
  const serviceKeys = openServiceKeys(
    modules.map(({ name }) => name),
    settings,
    environment,
    log,
  );

  const stopping = new AbortController();
  const started = new Map<ServiceModule, StartedModule>();
  const implementers = new Map(
    modules.flatMap((module) => module.implements.map(({ typeName }) => [typeName, module])),
  );
  const hosted = (service: DescService) => {
    const module = implementers.get(service.typeName);
    return module && started.get(module);
  };
  const upstreams = modules.flatMap((module) => module.upstreams(configOf(module)));

  // Token keys are fetched from the service that hosts them, through a transport that itself needs authorization: so the
  // verifier fetches them when the first token arrives.
  const credentials = createServiceCredentials(serviceKeys);
  const revocations = createRevocations({ retentionMs: revocationsRetentionMs });
  const fetchKeys = async () => (await tokenKeys.listTokenKeys({}, { timeoutMs: keysTimeoutMs })).keys;
  const verifyAccessToken = createAccessTokenVerifier(fetchKeys, revocations);
  const authorize = createAuthorize({
    verifyAccessToken,
    verifyCredential(credential, { parent }) {
      const audience = implementers.get(parent.typeName)?.name;
      return audience === undefined ? undefined : credentials.verify(credential, audience, "call");
    },
  });
  const authorizePublic = createAuthorize({ verifyAccessToken, verifyCredential: undefined });
  // The drivers of MongoDB, Redis and NATS are loaded only where a module has state: a gateway goes without them.
  const withState = modules.some(({ start }) => start !== undefined)
    ? await import("./stateful-modules.ts")
    : undefined;
  const isDependencyLost = withState?.isDependencyLost ?? isUnavailable;
  const rules = { isPublicRead, validator: requestValidator, isDependencyLost, log, metrics };
  const publicRules = { ...rules, metrics: metrics?.publicPort };
  const routerOptions = createRouterOptions({ ...rules, authorize });
  const transportFrom = (caller: ServiceModule): TransportTo =>
    createTransportTo({
      hosted(service) {
        const routes = hosted(service)?.routes;
        return routes && { name: implementers.get(service.typeName)!.name, routes };
      },
      routerOptions,
      upstreams,
      credentialFor: (audience) => credentials.issue(caller.name, audience, "call"),
    });
  const tokenKeys = createClient(TokenKeyService, transportFrom(modules[0]!)(TokenKeyService));

  // A process without state only forwards to services that check revocations.
  const state = await withState?.startStatefulModules({
    modules,
    started,
    settings,
    processName,
    contextOf: (module) => ({
      config: configOf(module),
      log: log.child({ module: module.name }),
      histogram: metrics?.histogram ?? (() => () => {}),
      generatedSecret: host.generatedSecret,
      pageTokens: createPageTokens(() =>
        settings.SERVICE_KEY_FILES === undefined
          ? [host.generatedSecret]
          : serviceKeys.privateKeysOf(module.name).map(({ secret }) => secret),
      ),
      revocations,
      stopping: stopping.signal,
      transportTo: transportFrom(module),
    }),
    revocations,
    metrics,
    log,
    signal,
  });

  async function missing(services: readonly DescService[]): Promise<readonly string[]> {
    const reasons = services.map(async (service) => {
      const module = hosted(service);
      if (module !== undefined) return await module.notReady?.();
      return await upstreamNotReady(upstreams.find(({ service: { typeName } }) => typeName === service.typeName));
    });
    const all = (await Promise.all([state?.missing(), ...reasons])).flat();
    return [...new Set(all.filter((reason) => reason !== undefined))];
  }

  // At log level debug every call takes the whole path, so that each is logged.
  const declaredAnswers =
    settings.LOG_LEVEL === "debug" ? [] : [...started.values()].flatMap((module) => module.cachedAnswers ?? []);
  const findCachedAnswer = createFindCachedAnswer(declaredAnswers, rules);
  const findPublicAnswer = createFindCachedAnswer(declaredAnswers, publicRules);
  const bufferedBytes = new BufferedBytes(settings.BUFFERED_MIB * 1_048_576);
  const listenFor = async (module: ServiceModule) => {
    const isPublic = module.isPublic ?? false;
    const openApi = module.openApi?.(configOf(module));
    return await listen({
      name: module.name,
      host: settings.LISTEN_HOST,
      port: module.port(configOf(module)),
      services: reachableServices(module.exposes ?? module.implements, isPublic),
      isPublic,
      trustsProxy: module.trustsProxy?.(configOf(module)) ?? (() => false),
      callerTraces: !isPublic || module.continuesCallerTraces?.(configOf(module)) ? "continued" : "linked",
      connectionLimits: module.connectionLimits?.(configOf(module)),
      bufferedBytes,
      trustsForwarder(credential) {
        const forwarder = credentials.verify(credential, module.name, "forward");
        return forwarder !== undefined && (module.forwardedBy ?? []).includes(forwarder);
      },
      openApi: openApi && (await readFile(openApi)),
      corsOrigins: module.corsOrigins?.(configOf(module)) ?? [],
      hosted: (service) => hosted(service)?.routes,
      refusal: (method) => hosted(method.parent)?.refusal?.(method),
      metrics: isPublic ? metrics?.publicPort : metrics,
      forwarding: forwardTo({
        upstreams,
        credentialFor: (audience) => credentials.issue(module.name, audience, "forward"),
      }),
      reflection: settings.REFLECTION,
      fastPath: settings.FAST_PATH,
      workers: settings.WORKERS,
      findCachedAnswer: isPublic ? findPublicAnswer : findCachedAnswer,
      routerOptions: isPublic ? createRouterOptions({ ...publicRules, authorize: authorizePublic }) : routerOptions,
      authorize: isPublic ? authorizePublic : authorize,
      streamTickets: true,
      missing,
      stopping: stopping.signal,
      log,
    });
  };
  // Sequentially: if ports are 0, workers share those that they request in the same order.
  const servers: RpcServer[] = [];
  for (const module of modules) servers.push(await listenFor(module));
  const shownMetrics = metrics && (await host.showMetrics(metrics, settings, log));
  for (const source of state?.gauges ?? []) metrics?.add(source);
  const stopWork = await state?.startWork();
  host.ready(Object.fromEntries(servers.map((server) => [server.name, server.port])), log);

  return {
    async close() {
      log.info("draining");
      for (const server of servers) server.announceClose();
      await delay(settings.DRAIN_SECONDS * 1_000);
      stopping.abort();
      await Promise.all(servers.map((server) => server.close()));
      await stopWork?.();
      await shownMetrics?.close();
      await state?.close();
      serviceKeys.close();
      await tracing?.close();
      log.info("drained");
    },
  };
}
