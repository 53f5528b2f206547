import { connectRedis, createCache, type Redis } from "@shop/cache";
import type { Logger } from "@shop/core";
import { type Bus, connectBus, ensureDeadLetters } from "@shop/messaging";
import { canWrite, connectMongo } from "@shop/mongo";
import type { MongoClient } from "mongodb";
import type { Metrics } from "./metrics/metrics.ts";
import type { PlatformConfig } from "./platform-config.ts";

/** The servers that the modules of a process share: MongoDB, JetStream, Redis. */
export interface Backing {
  readonly mongo: MongoClient;
  readonly bus: Bus;
  readonly cache: ReturnType<typeof createCache>;
  readonly redis: Redis;
  /**
   * The dependencies that are missing to accept and finish work, in words. Redis is not one: without it reads are slower and
   * limits apply per process.
   */
  missing(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Connects to all of them, waiting for unavailable ones until `signal` fires. */
export async function connectBacking(
  settings: PlatformConfig,
  processName: string,
  metrics: Metrics | undefined,
  log: Logger,
  signal: AbortSignal,
): Promise<Backing> {
  const [mongo, bus] = await Promise.all([
    connectMongo(settings.MONGODB_URI, processName, log, signal),
    connectBus({ url: settings.NATS_URL, name: processName, replicas: settings.NATS_REPLICAS }, log, signal),
  ]);
  await ensureDeadLetters(bus);
  const redis = connectRedis(settings.REDIS_URL, log);
  const cache = createCache({ redis, memoryBytes: settings.CACHE_MEMORY_MIB * 1024 * 1024, metrics });
  return {
    mongo,
    bus,
    redis,
    cache,
    async missing() {
      const [ofBus, isWritable] = await Promise.all([
        bus.isConnected() ? bus.topology.missing() : ["NATS is disconnected"],
        canWrite(mongo),
      ]);
      return [...ofBus, ...(isWritable ? [] : ["MongoDB has no primary"])];
    },
    async close() {
      cache.close();
      if (redis.isOpen) redis.destroy();
      await bus.close();
      await mongo.close();
    },
  };
}
