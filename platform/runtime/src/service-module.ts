import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Revocations } from "@shop/auth";
import type { Cache } from "@shop/cache";
import type { Clock, ConfigSchema, DomainError, GaugeSource, Job, Lease, Logger, PageTokens } from "@shop/core";
import type { ConnectionLimits, TrustsProxy } from "@shop/http-port";
import type { Bus, EventHandler, OutboxWork } from "@shop/messaging";
import type { TransportTo, UpstreamService } from "@shop/proxy";
import type { CachedAnswers } from "@shop/rpc-server";
import type { Db } from "mongodb";
import type { Limits } from "./limits/limits.ts";

/** A service as the platform runs it, alone in a process or beside others: the same code either way. */
export interface ServiceModule<Config = unknown> {
  /** Also the name of its database, of the stream of its events, and what its keys and the credentials for it are called. */
  readonly name: string;
  readonly config: ConfigSchema<Config>;
  /** The services it implements. */
  readonly implements: readonly DescService[];
  /** The services its port answers for; those that are not hosted in this process are forwarded. Its own if absent. */
  readonly exposes?: readonly DescService[];
  /** A public port: INTERNAL methods do not exist there, and nobody there is a part of the platform. */
  readonly isPublic?: boolean;
  /** The origins whose pages may call its port from a browser; "*" for any. None if absent. */
  corsOrigins?(config: Config): readonly string[];
  /** Of a public port: which proxies in front of it are believed when they say for whom they ask. None if absent. */
  trustsProxy?(config: Config): TrustsProxy;
  /** Of a port that is not public: the services whose word it takes about the address of a client. None if absent. */
  readonly forwardedBy?: readonly string[];
  /** How many connections its port holds. No limit if absent: of a port for other parts of the platform, which keep few. */
  connectionLimits?(config: Config): ConnectionLimits;
  /** The file that describes its port in OpenAPI: served there, with a page to read it and to try it out. None if absent. */
  openApi?(config: Config): URL | undefined;
  port(config: Config): number;
  /** Where services are that may be elsewhere, by the service's full name. Replicas share a list. */
  upstreams(config: Config): readonly UpstreamService[];
  /** The events it emits: the proto package, such as `shop.orders.v1`. Absent when it emits none. */
  readonly emits?: string;
  /** Makes stores and clients and hands each slice what it uses. Absent when the module implements nothing. */
  start?(context: ModuleContext<Config>): Promise<StartedModule>;
}

/** What a module gets from the platform. */
export interface ModuleContext<Config> {
  readonly config: Config;
  /** The module's own database. */
  readonly db: Db;
  readonly bus: Bus;
  readonly cache: Cache;
  /** Counters that all processes share, to limit what callers may do. */
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
  readonly pageTokens: PageTokens;
  /** Random, another one at each start, and the same in all workers of a process: for a secret that nobody has set. */
  readonly generatedSecret: string;
  /** Access that ended early, for what goes on after the gate: a watch. */
  readonly revocations: Revocations;
  /** A lease of the module's own, held under this process's name. */
  lease(name: string, ttlMs?: number): Lease;
  /** Fires when the process begins to drain: what would not end by itself, such as a stream, has to end now. */
  readonly stopping: AbortSignal;
  /** So long, in milliseconds, what a dead process had in hand waits for another one. */
  readonly takeoverMs: number;
  /** How to call a service: in memory when it is hosted here, over HTTP when it is not. */
  readonly transportTo: TransportTo;
}

/** Connect's router for whole services: a method without an implementation does not compile, instead of being UNIMPLEMENTED. */
export interface CompleteRouter {
  service<Service extends DescService>(service: Service, implementation: ServiceImpl<Service>): CompleteRouter;
}

/** A module that is ready to be called. */
export interface StartedModule {
  /** Registers what the module implements. */
  routes(router: CompleteRouter): void;
  readonly handlers?: readonly EventHandler[];
  readonly jobs?: readonly Job[];
  /** Its outboxes: each is swept by one process at a time, measured, and closed after all else. */
  readonly outboxes?: readonly OutboxWork[];
  /** What of its own it shows to whoever watches. */
  readonly gauges?: readonly GaugeSource[];
  /** What would keep it from doing its work now; nothing when it is ready. Database and bus are checked by the platform. */
  notReady?(): Promise<string | undefined>;
  /**
   * Refuses a call of a method before anything of it is read, whoever calls: for load that could only be refused later. May
   * answer the same error to many. Not asked about calls in memory.
   */
  refusal?(method: DescMethod): DomainError | undefined;
  /** Answers that its caches hold. What is found here is answered without going through interceptors. */
  readonly cachedAnswers?: readonly CachedAnswers[];
  /** Ends what the module started itself, after the last call and the last event. */
  close?(): Promise<void>;
}

/** Keeps an inferred config type, and hides it from lists of modules. */
export function defineModule<Config>(module: ServiceModule<Config>): ServiceModule {
  return module as unknown as ServiceModule;
}
