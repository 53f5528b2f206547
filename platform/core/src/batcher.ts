interface Waiting<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Does together what arrives together: while `maxInFlight` batches are being worked on, the next ones gather. Nobody waits
 * for a batch to fill: when it is quiet, a batch is one item. `work` answers the errors of the items that failed, by their
 * index; when it rejects, all have failed.
 */
export function gather<Item>(options: {
  readonly maxItems: number;
  readonly maxInFlight: number;
  work(items: readonly Item[]): Promise<ReadonlyMap<number, unknown>>;
}): (item: Item) => Promise<void> {
  const waiting: Waiting<Item>[] = [];
  let inFlight = 0;

  async function workOnNext(): Promise<void> {
    if (inFlight >= options.maxInFlight || waiting.length === 0) return;
    const batch = waiting.splice(0, options.maxItems);
    inFlight++;
    try {
      const working = options.work(batch.map(({ item }) => item));
      void workOnNext();
      const failed = await working;
      for (const [index, { resolve, reject }] of batch.entries()) {
        if (failed.has(index)) reject(failed.get(index));
        else resolve();
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      inFlight--;
      void workOnNext();
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      // What arrives in the same turn of the event loop belongs to the same batch.
      if (waiting.length === 1) setImmediate(() => void workOnNext());
    });
}
