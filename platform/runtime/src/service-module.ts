import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Revocations } from "@shop/auth";
import type { Cache } from "@shop/cache";
import type {
  Clock,
  ConfigSchema,
  DomainError,
  GaugeSource,
  HistogramDefinition,
  Job,
  Lease,
  Logger,
  PageTokens,
} from "@shop/core";
import type { ConnectionLimits, TrustsProxy } from "@shop/http-port";
import type { Bus, EventHandler, OutboxWork } from "@shop/messaging";
import type { TransportTo, UpstreamService } from "@shop/proxy";
import type { CachedAnswers } from "@shop/rpc-server";
import type { Db } from "mongodb";
import type { Limits } from "./limits/limits.ts";

/** A service as the platform runs it, alone in a process or together with others: the same code either way. */
export interface ServiceModule<Config = unknown> {
  /** Its name; also that of its database, of its event stream, of its keys, and the audience of credentials for it. */
  readonly name: string;
  readonly config: ConfigSchema<Config>;
  /** The services it implements. */
  readonly implements: readonly DescService[];
  /** The services that its port exposes; those not hosted in this process are forwarded. Its own if absent. */
  readonly exposes?: readonly DescService[];
  /** Whether its port is public: INTERNAL methods do not exist there, and no caller is a service. */
  readonly isPublic?: boolean;
  /** The origins whose pages may call from a browser; "*" for any, none if absent. */
  corsOrigins?(config: Config): readonly string[];
  /** For a public port: the proxies that are trusted to report the client address. None if absent. */
  trustsProxy?(config: Config): TrustsProxy;
  /** For a public port: whether callers choose the trace of a call and whether it is sampled. They do not if absent. */
  continuesCallerTraces?(config: Config): boolean;
  /** For an internal port: the services that are trusted to report the client address. None if absent. */
  readonly forwardedBy?: readonly string[];
  /** The connection limits of its port. Unlimited if absent, as for internal ports, whose callers keep few. */
  connectionLimits?(config: Config): ConnectionLimits;
  /** The OpenAPI document of its port, served there with a page to read and try it. None if absent. */
  openApi?(config: Config): URL | undefined;
  port(config: Config): number;
  /** The services that may run in other processes, with their URLs. Replicas share a list. */
  upstreams(config: Config): readonly UpstreamService[];
  /** The proto package of the events it publishes, such as `shop.orders.v1`. Absent if it publishes none. */
  readonly publishes?: string;
  /** Creates stores and clients, and passes them to the entry points. Absent if the module implements nothing. */
  start?(context: ModuleContext<Config>): Promise<StartedModule>;
}

/** The platform's services for a module. */
export interface ModuleContext<Config> {
  readonly config: Config;
  /** The module's own database. */
  readonly db: Db;
  readonly bus: Bus;
  readonly cache: Cache;
  /** Counters shared by all processes, for rate limits. */
  readonly limits: Limits;
  readonly log: Logger;
  /** Creates a histogram of the process, and returns the function that adds a value; it does nothing if metrics are off. */
  readonly histogram: (definition: HistogramDefinition) => (value: number) => void;
  readonly clock: Clock;
  readonly pageTokens: PageTokens;
  /** Random, different at each start, and the same in all workers of a process: replaces a secret that is not configured. */
  readonly generatedSecret: string;
  /** Revoked access tokens, for streams that outlive the authorization at their start. */
  readonly revocations: Revocations;
  /** A lease of the module, held by this process. */
  lease(name: string, ttlMs?: number): Lease;
  /** Fires when the process begins to drain: streams and other unbounded work have to end then. */
  readonly stopping: AbortSignal;
  /** Lease TTL and ack wait in milliseconds: after that time another process takes over the work of a dead one. */
  readonly takeoverMs: number;
  /** Returns the transport to a service: in memory if it is hosted here, over HTTP otherwise. */
  readonly transportTo: TransportTo;
}

/** Connect's router for complete services: a missing method is a type error, instead of being UNIMPLEMENTED. */
export interface CompleteRouter {
  service<Service extends DescService>(service: Service, implementation: ServiceImpl<Service>): CompleteRouter;
}

/** A module that has started. */
export interface StartedModule {
  /** Registers the module's services. */
  routes(router: CompleteRouter): void;
  readonly handlers?: readonly EventHandler[];
  readonly jobs?: readonly Job[];
  /** Its outboxes: each is swept by one process at a time, measured, and closed last. */
  readonly outboxes?: readonly OutboxWork[];
  /** Its own metrics. */
  readonly gauges?: readonly GaugeSource[];
  /** The reason why it is not ready; undefined if it is. Database and bus are checked by the platform. */
  notReady?(): Promise<string | undefined>;
  /**
   * Load shedding: returns the error to refuse a call of a method with before it is read; undefined to admit it. May return the
   * same error for many calls. Not used for calls in memory.
   */
  refusal?(method: DescMethod): DomainError | undefined;
  /** Lookups of cached answers. A cached answer bypasses the interceptors. */
  readonly cachedAnswers?: readonly CachedAnswers[];
  /** Ends what the module started itself, after the last call and the last event. */
  close?(): Promise<void>;
}

/** Infers a module's config type, and erases it for lists of modules. */
export function defineModule<Config>(module: ServiceModule<Config>): ServiceModule {
  return module as unknown as ServiceModule;
}
