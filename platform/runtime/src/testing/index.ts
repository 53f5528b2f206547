import * as net from "node:net";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { createRevocations, type Principal, type Revocations } from "@shop/auth";
import { type Cache, connectRedis, createCache, type Redis } from "@shop/cache";
import { createLogger, type Logger, newId } from "@shop/core";
import { type Bus, connectBus } from "@shop/messaging";
import { rememberCaller } from "@shop/rpc-server";
import { MongoClient } from "mongodb";
import { inject, onTestFinished, vi } from "vitest";
import { ensureRevocations } from "../follow-revocations.ts";
import { createLimits, type Limits } from "../limits/limits.ts";

export { startTestModule } from "./start-test-module.ts";
export { type Plan, watchPlans } from "./watch-plans.ts";

declare module "vitest" {
  /** The URLs of the servers that integration tests share; set by their global setup. */
  interface ProvidedContext {
    mongodbUri: string;
    redisUrl: string;
    natsUrl: string;
  }
}

/** Logs nothing, so that expected failures do not clutter the output. */
export const silentLog: Logger = createLogger("silent");

/** A connection and a database of its own; closed when the test ends. */
export async function openTestDb() {
  const client = await MongoClient.connect(inject("mongodbUri"), {
    writeConcern: { w: "majority", journal: true },
    readConcern: { level: "majority" },
    ignoreUndefined: true,
  });
  onTestFinished(() => client.close());
  return client.db(newId("test"));
}

/** A connection to the bus, with the revocation stream. Streams are shared: use unique names. */
export async function openTestBus(): Promise<Bus> {
  const options = { url: inject("natsUrl"), name: "test", replicas: 1 };
  const bus = await connectBus(options, silentLog, new AbortController().signal);
  onTestFinished(() => bus.close());
  await ensureRevocations(bus);
  return bus;
}

/** The address in a server's URL, and the same URL with another local port. */
export function serverAt(url: string): {
  readonly address: net.NetConnectOpts;
  readonly through: (port: number) => string;
} {
  const [, credentials = "", path] = /^unix:\/\/([^@/]*@)?(\/.*)$/.exec(url) ?? [];
  if (path !== undefined) return { address: { path }, through: (port) => `redis://${credentials}127.0.0.1:${port}` };
  const { hostname, port: own } = new URL(url);
  return {
    address: { host: hostname, port: Number(own) },
    through: (port) => url.replace(`${hostname}:${own}`, `127.0.0.1:${port}`),
  };
}

/** A proxy to a server that can be cut, frozen and restored. */
export async function breakableProxy(url: string) {
  const { address, through } = serverAt(url);
  const sockets = new Set<net.Socket>();
  let state: "whole" | "cut" | "frozen" = "whole";
  const relay = net.createServer((from) => {
    if (state === "cut") return void from.destroy();
    const to = net.connect(address);
    for (const socket of [from, to]) {
      sockets.add(socket.on("error", () => {}));
      socket.once("close", () => sockets.delete(socket));
    }
    from.once("close", () => to.destroy());
    to.once("close", () => from.destroy());
    if (state === "whole") from.pipe(to).pipe(from);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  function cut(): void {
    state = "cut";
    for (const socket of sockets) socket.destroy();
  }
  onTestFinished(() => {
    cut();
    relay.close();
  });
  return {
    url: through((relay.address() as net.AddressInfo).port),
    /** Closes connections, and refuses new ones. */
    cut,
    /** Keeps connections open, but forwards nothing. */
    freeze() {
      state = "frozen";
      for (const socket of sockets) socket.unpipe().pause();
    },
    restore() {
      if (state === "frozen") cut();
      state = "whole";
    },
  };
}

/** A connection in progress. Keys are shared between tests: use unique names. */
export function openTestRedis(url = inject("redisUrl")): Redis {
  const redis = connectRedis(url, silentLog);
  onTestFinished(() => {
    if (redis.isOpen) redis.destroy();
  });
  return redis;
}

/** The cache of a process, subscribed to changes. Entries are shared between tests: use unique names. */
export async function openTestCache(): Promise<Cache> {
  const redis = openTestRedis();
  const cache = createCache({ redis, memoryBytes: 16 * 1024 * 1024, metrics: undefined });
  onTestFinished(() => cache.close());
  await vi.waitUntil(() => redis.isReady && cache.isSubscribed());
  return cache;
}

/** The limits of a module, once Redis counts them: until then a process counts for itself. */
export async function openTestLimits(module: string): Promise<Limits> {
  const redis = openTestRedis();
  await vi.waitUntil(() => redis.isReady);
  return createLimits(redis, module);
}

/** A revocation list without revocations. */
export const nothingRevoked: Revocations = createRevocations({ retentionMs: 0 });

/** An unavailable bus: every publish fails as while NATS is down. */
export function absentBus(bus: Bus): Bus {
  return { ...bus, isConnected: () => false, publish: () => Promise.reject(new Error("NATS is disconnected")) };
}

/** A connection to the bus on which messages vanish without notice while `loses` returns true. */
export async function openLossyBus(loses: () => boolean): Promise<Bus> {
  const bus = await openTestBus();
  const connection = Object.create(bus.connection, {
    publish: {
      value: (...message: Parameters<typeof bus.connection.publish>) =>
        loses() ? undefined : bus.connection.publish(...message),
    },
  });
  return { ...bus, connection };
}

/** The handler context of a call by this caller. */
export function contextOf(
  caller: Principal,
  headers: Readonly<Record<string, string>> = {},
  signal: AbortSignal = new AbortController().signal,
): HandlerContext {
  const values = createContextValues();
  rememberCaller(values, caller);
  return { values, signal, requestHeader: new Headers(headers), responseHeader: new Headers() } as HandlerContext;
}
