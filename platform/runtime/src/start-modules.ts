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
import { cacheGauges } from "@shop/cache";
import { createLogger, createPageTokens, type Lease, type Logger, systemClock } from "@shop/core";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import {
  busGauges,
  ensureConsumer,
  isDependencyLost,
  keepTopology,
  startConsumer,
  untilAnswered,
} from "@shop/messaging";
import { createLease } from "@shop/mongo";
import { createTransportTo, forwardTo, type TransportTo, upstreamNotReady } from "@shop/proxy";
import { BufferedBytes, createFindCachedAnswer, createRouterOptions, listen, type RpcServer } from "@shop/rpc-server";
import { type Backing, connectBacking } from "./backing.ts";
import { followRevocations, revocationsRetentionMs } from "./follow-revocations.ts";
import { type HostProcess, standalone } from "./host-process.ts";
import { startJob } from "./jobs.ts";
import { createLimits } from "./limits/limits.ts";
import { createMetrics } from "./metrics/metrics.ts";
import { requestValidator } from "./request-validator.ts";
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
  const takeoverMs = settings.TAKEOVER_SECONDS * 1_000;
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

  const stateful = modules.filter((module) => module.start !== undefined);
  const backing = stateful.length === 0 ? undefined : await connectBacking(settings, processName, metrics, log, signal);
  // An election of MongoDB or NATS during the start is no reason to fail.
  const untilStarted = <Result>(start: () => Promise<Result>) =>
    untilAnswered(start, "a dependency was lost during the start, retrying", log, signal);
  const stopKeeping = backing && keepTopology(backing.bus, log);
  // A process without the bus only forwards to services that check revocations.
  const follower = backing && (await untilStarted(() => followRevocations(backing.bus, revocations, log)));
  if (backing !== undefined) {
    for (const module of stateful) {
      const context = {
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
        takeoverMs,
        transportTo: transportFrom(module),
      };
      started.set(module, await startOne(module, backing, context, untilStarted));
    }
  }

  async function missing(services: readonly DescService[]): Promise<readonly string[]> {
    const reasons = services.map(async (service) => {
      const module = hosted(service);
      if (module !== undefined) return await module.notReady?.();
      return await upstreamNotReady(upstreams.find(({ service: { typeName } }) => typeName === service.typeName));
    });
    const unfollowed = follower?.isFollowing() === false ? "revocations are not being received" : undefined;
    const all = (await Promise.all([backing?.missing(), ...reasons])).flat().concat(unfollowed);
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
  for (const source of [...started.values()].flatMap((module) => module.gauges ?? [])) metrics?.add(source);
  const handlers = [...started.values()].flatMap((module) => module.handlers ?? []);
  if (backing !== undefined) {
    metrics?.add(busGauges(backing.bus, handlers));
    metrics?.add(cacheGauges(backing.cache));
  }
  const stopWork =
    backing === undefined ? async () => {} : await startWork([...started.values()], backing, takeoverMs, log);
  host.ready(Object.fromEntries(servers.map((server) => [server.name, server.port])), log);

  return {
    async close() {
      log.info("draining");
      for (const server of servers) server.announceClose();
      await delay(settings.DRAIN_SECONDS * 1_000);
      stopping.abort();
      await Promise.all(servers.map((server) => server.close()));
      await stopWork();
      await Promise.all([...started.values()].map((module) => module.close?.()));
      await follower?.stop();
      await stopKeeping?.();
      await shownMetrics?.close();
      await backing?.close();
      serviceKeys.close();
      await tracing?.close();
      log.info("drained");
    },
  };
}

/** Starts a module on its own database. Its stream and its durable consumers exist before it can publish. */
async function startOne(
  module: ServiceModule,
  { mongo, bus, cache, redis }: Backing,
  context: Pick<
    Parameters<NonNullable<ServiceModule["start"]>>[0],
    | "config"
    | "log"
    | "histogram"
    | "generatedSecret"
    | "pageTokens"
    | "revocations"
    | "stopping"
    | "takeoverMs"
    | "transportTo"
  >,
  untilStarted: <Result>(start: () => Promise<Result>) => Promise<Result>,
): Promise<StartedModule> {
  const db = mongo.db(module.name);
  const holder = `${hostname()}/${process.pid}`;
  const { publishes } = module;
  if (publishes !== undefined) await untilStarted(() => bus.ensureStream(module.name, [`${publishes}.>`]));
  // Everything it waits for comes before start(), so that a failed attempt leaves nothing open.
  const lease = (name: string, ttlMs = context.takeoverMs) => createLease(db, name, holder, ttlMs);
  const started = await untilStarted(() =>
    module.start!({
      ...context,
      db,
      bus,
      cache,
      limits: createLimits(redis, module.name),
      clock: systemClock,
      lease,
    }),
  );
  // From here on it is not started again.
  const handlers = started.handlers ?? [];
  await untilStarted(() => Promise.all(handlers.map((handler) => ensureConsumer(bus, handler, context.takeoverMs))));
  return withOutboxes(started, lease, context.takeoverMs);
}

/** Adds the jobs, gauges and closing of its outboxes to a module. */
function withOutboxes(started: StartedModule, lease: (name: string) => Lease, takeoverMs: number): StartedModule {
  const { outboxes = [], jobs = [], gauges = [] } = started;
  return {
    ...started,
    jobs: [...jobs, ...outboxes.map((outbox) => outbox.sweeper(lease, takeoverMs))],
    gauges: [...gauges, ...outboxes.map((outbox) => outbox.gauges)],
    async close() {
      // Closing the module may still publish events.
      await started.close?.();
      await Promise.all(outboxes.map((outbox) => outbox.close()));
    },
  };
}

/** Starts consumers and jobs. Returns a function that stops them, and resolves when running work is done. */
async function startWork(
  modules: readonly StartedModule[],
  { bus }: Backing,
  takeoverMs: number,
  log: Logger,
): Promise<() => Promise<void>> {
  const handlers = modules.flatMap((module) => module.handlers ?? []);
  const stopConsumers = await Promise.all(handlers.map((handler) => startConsumer(bus, handler, log, takeoverMs)));
  const stopJobs = modules.flatMap((module) => module.jobs ?? []).map((job) => startJob(job, log));
  return async () => {
    await Promise.all(stopConsumers.map((stop) => stop()));
    await Promise.all(stopJobs.map((stop) => stop()));
  };
}
