import type { GaugeDefinition, GaugeSource } from "@shop/core";

const memoryBytes: GaugeDefinition = {
  name: "shop_cache_memory_bytes",
  help: "What the cached answers of this process take up, by estimate",
  labelNames: [],
};

/** What the cache of this process holds; not known while it does not hear what changes, for then it gives hardly any of it. */
export function cacheGauges(cache: { isSubscribed(): boolean; memoryBytes(): number }): GaugeSource {
  return {
    dependency: "redis",
    async read() {
      if (!cache.isSubscribed()) throw new Error("this process does not hear what changes");
      return [{ gauge: memoryBytes, labels: {}, value: cache.memoryBytes() }];
    },
  };
}
