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
  /** Where the servers are that the integration tests share; set by their global set-up. */
  interface ProvidedContext {
    mongodbUri: string;
    redisUrl: string;
    natsUrl: string;
  }
}

/** Logs nothing, so that expected failures do not look like news. */
export const silentLog: Logger = createLogger("silent");

/** A connection and a database that no other test has; closed when the test ends. */
export async function openTestDb() {
  const client = await MongoClient.connect(inject("mongodbUri"), {
    writeConcern: { w: "majority", journal: true },
    readConcern: { level: "majority" },
    ignoreUndefined: true,
  });
  onTestFinished(() => client.close());
  return client.db(newId("test"));
}

/** A connection to the bus, on which access can be revoked. Streams are shared: tests take names of their own. */
export async function openTestBus(): Promise<Bus> {
  const options = { url: inject("natsUrl"), name: "test", replicas: 1 };
  const bus = await connectBus(options, silentLog, new AbortController().signal);
  onTestFinished(() => bus.close());
  await ensureRevocations(bus);
  return bus;
}

/** Where a URL of the servers that tests share leads, and the same URL for another port of this machine. */
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

/** A way to a server of a URL that can be cut, that can freeze, and that can be mended. */
export async function breakableWay(url: string) {
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
    /** Breaks what is connected and refuses what tries. */
    cut,
    /** What is connected stays so, and nothing arrives any more. */
    freeze() {
      state = "frozen";
      for (const socket of sockets) socket.unpipe().pause();
    },
    mend() {
      if (state === "frozen") cut();
      state = "whole";
    },
  };
}

/** A connection that is being made. Keys are shared: tests take names of their own. */
export function openTestRedis(url = inject("redisUrl")): Redis {
  const redis = connectRedis(url, silentLog);
  onTestFinished(() => {
    if (redis.isOpen) redis.destroy();
  });
  return redis;
}

/** The cache of a process that hears what others tell. Entries are shared: tests read what only they have made. */
export async function openTestCache(): Promise<Cache> {
  const redis = openTestRedis();
  const cache = createCache({ redis, memoryBytes: 16 * 1024 * 1024, metrics: undefined });
  onTestFinished(() => cache.close());
  await vi.waitUntil(() => redis.isReady && cache.isSubscribed());
  return cache;
}

/** The limits of a module. Once Redis counts them: until then a process counts for itself. */
export async function openTestLimits(module: string): Promise<Limits> {
  const redis = openTestRedis();
  await vi.waitUntil(() => redis.isReady);
  return createLimits(redis, module);
}

/** The list of a shop in which nobody signs out. */
export const nothingRevoked: Revocations = createRevocations({ keptMs: 0 });

/** A bus that is not there: every publish fails as it does while NATS is down. */
export function absentBus(bus: Bus): Bus {
  return { ...bus, isConnected: () => false, publish: () => Promise.reject(new Error("the bus is not there")) };
}

/** What a handler gets when this caller calls. */
export function contextOf(
  caller: Principal,
  headers: Readonly<Record<string, string>> = {},
  signal: AbortSignal = new AbortController().signal,
): HandlerContext {
  const values = createContextValues();
  rememberCaller(values, caller);
  return { values, signal, requestHeader: new Headers(headers), responseHeader: new Headers() } as HandlerContext;
}
