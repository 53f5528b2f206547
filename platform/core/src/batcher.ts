import { currentTrace, inJointTrace, type Trace } from "./trace.ts";

interface Waiting<Item> {
  readonly item: Item;
  readonly trace: Trace | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Batches calls that arrive together. Items of one turn of the event loop form a batch; while `maxInFlight` batches are in
 * progress, further items queue for the next one. No item waits for a batch to fill: without load a batch is one item. `work`
 * returns the errors of failed items by their index; if it rejects, all items failed. It runs in a trace of its own that is linked
 * to those of the items, or in that of the only item.
 */
export function createBatcher<Item>(options: {
  /** Names the span of a batch. */
  readonly name: string;
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
      const items = batch.map(({ item }) => item);
      const traces = batch.map(({ trace }) => trace);
      const working = inJointTrace(options.name, {}, traces, () => options.work(items));
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
      waiting.push({ item, trace: currentTrace(), resolve, reject });
      // Items of the same turn of the event loop belong to the same batch.
      if (waiting.length === 1) setImmediate(() => void workOnNext());
    });
}
