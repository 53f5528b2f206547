import { createBatcher } from "./batcher.ts";

/**
 * Reads values by key, those that are requested together in one call of `read`; each key once. A request never joins a read that
 * has already begun, so it sees every change that was committed before it. Resolves to undefined for a key that `read` does not
 * return, and rejects with its error. At most two reads are in progress.
 */
export function createBatchedRead<Key, Value>(options: {
  /** Names the span of a joint read. */
  readonly name: string;
  readonly maxKeys: number;
  read(keys: readonly Key[]): Promise<ReadonlyMap<Key, Value>>;
}): (key: Key) => Promise<Value | undefined> {
  const request = createBatcher<{ readonly key: Key; value?: Value | undefined }>({
    name: options.name,
    maxItems: options.maxKeys,
    maxInFlight: 2,
    async work(requests) {
      const values = await options.read([...new Set(requests.map(({ key }) => key))]);
      for (const one of requests) one.value = values.get(one.key);
      return new Map();
    },
  });
  return async (key) => {
    const one: { key: Key; value?: Value | undefined } = { key };
    await request(one);
    return one.value;
  };
}
