import { hostname } from "node:os";
import type { Revocations } from "@shop/auth";
import { cacheGauges } from "@shop/cache";
import { type GaugeSource, type Lease, type Logger, systemClock } from "@shop/core";
import { busGauges, ensureConsumer, keepTopology, startConsumer, untilAnswered } from "@shop/messaging";
import { createLease } from "@shop/mongo";
import { type Backing, connectBacking } from "./backing.ts";
import { followRevocations } from "./follow-revocations.ts";
import { startJob } from "./jobs.ts";
import { createLimits } from "./limits/limits.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { PlatformConfig } from "./platform-config.ts";
import type { ModuleContext, ServiceModule, StartedModule } from "./service-module.ts";

export { isDependencyLost } from "@shop/messaging";

/** The part of a module's context that does not come from the servers. */
type OwnContext = Omit<ModuleContext<unknown>, "db" | "bus" | "cache" | "limits" | "clock" | "lease" | "takeoverMs">;

/** The started modules of a process that have state, and their connections. */
export interface StatefulModules {
  readonly gauges: readonly GaugeSource[];
  /** The reasons why the process can't accept and finish work, in words. */
  missing(): Promise<readonly string[]>;
  /**
   * Starts events and jobs. Returns a function that stops them, then closes the modules; it resolves when running work is done.
   */
  startWork(): Promise<() => Promise<void>>;
  /** Closes the connections. */
  close(): Promise<void>;
}

/**
 * Connects to the servers, and starts the modules that have a `start`: each is added to `started` as soon as it runs, since the
 * next one may call it.
 *
 * @throws the signal's reason if it fires before all have started
 */
export async function startStatefulModules(on: {
  readonly modules: readonly ServiceModule[];
  readonly started: Map<ServiceModule, StartedModule>;
  readonly settings: PlatformConfig;
  readonly processName: string;
  contextOf(module: ServiceModule): OwnContext;
  readonly revocations: Revocations;
  readonly metrics: Metrics | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Promise<StatefulModules> {
  const { modules, started, settings, processName, contextOf, revocations, metrics, log, signal } = on;
  const takeoverMs = settings.TAKEOVER_SECONDS * 1_000;
  const backing = await connectBacking(settings, processName, metrics, log, signal);
  // An election of MongoDB or NATS during the start is no reason to fail.
  const untilStarted = <Result>(start: () => Promise<Result>) =>
    untilAnswered(start, "a dependency was lost during the start, retrying", log, signal);
  const stopKeeping = keepTopology(backing.bus, log);
  const follower = await untilStarted(() => followRevocations(backing.bus, revocations, log));
  for (const module of modules) {
    if (module.start === undefined) continue;
    const context = { ...contextOf(module), takeoverMs };
    started.set(module, await startOne(module, backing, context, untilStarted));
  }
  const running = [...started.values()];
  const handlers = running.flatMap((module) => module.handlers ?? []);
  return {
    gauges: [
      ...running.flatMap((module) => module.gauges ?? []),
      busGauges(backing.bus, handlers),
      cacheGauges(backing.cache),
    ],
    async missing() {
      const unfollowed = follower.isFollowing() ? [] : ["revocations are not being received"];
      return [...(await backing.missing()), ...unfollowed];
    },
    async startWork() {
      const stopWork = await startWork(running, backing, takeoverMs, log);
      return async () => {
        await stopWork();
        await Promise.all(running.map((module) => module.close?.()));
        await follower.stop();
        await stopKeeping();
      };
    },
    close: backing.close,
  };
}

/** Starts a module on its own database. Its stream and its durable consumers exist before it can publish. */
async function startOne(
  module: ServiceModule,
  { mongo, bus, cache, redis }: Backing,
  context: OwnContext & Pick<ModuleContext<unknown>, "takeoverMs">,
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
