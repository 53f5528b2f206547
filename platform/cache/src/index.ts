export { type Cache, type CacheMetrics, createCache } from "./cache.ts";
export { cacheGauges } from "./cache-gauges.ts";
export { commandTimeoutMs, connectRedis, type Redis } from "./redis.ts";
