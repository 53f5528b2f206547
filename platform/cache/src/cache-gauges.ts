import type { GaugeDefinition, GaugeSource } from "@shop/core";

const memoryBytes: GaugeDefinition = {
  name: "shop_cache_memory_bytes",
  help: "Estimated memory of the cached answers of this process",
  labelNames: [],
};

/**
 * Measures the memory of this process's cache. Absent while the process is not subscribed to changes, since it then hardly
 * serves any entry.
 */
export function cacheGauges(cache: { isSubscribed(): boolean; memoryBytes(): number }): GaugeSource {
  return {
    dependency: "redis",
    async read() {
      if (!cache.isSubscribed()) throw new Error("this process is not subscribed to changes");
      return [{ gauge: memoryBytes, labels: {}, value: cache.memoryBytes() }];
    },
  };
}
