import type { AnyBulkWriteOperation, Collection } from "mongodb";
import type { Bus } from "../bus/bus.ts";
import { isDependencyLost } from "../dependency-lost.ts";
import type { Job } from "../jobs.ts";
import type { Logger } from "../log.ts";
import type { Lease } from "../mongo/lease.ts";
import { type PendingEvent, toEvent, type WithOutbox } from "./pending-event.ts";

/** Younger events are left to the writer that committed them. */
const sweepAfterMs = 2_000;
const sweepIntervalMs = 1_000;
/** When a sweeper dies, what it would have published waits so long for the next one. */
export const sweepLeaseMs = 5_000;
const sweepBatch = 256;
const clearBatch = 256;
const clearDelayMs = 20;

/** Publishes what documents of one collection carry in their outbox. */
export interface Outbox<Document extends WithOutbox = WithOutbox> {
  /**
   * Publishes events that were just committed with their document. Never rejects: what can't be published now, the
   * sweeper publishes later.
   */
  relay(documentId: string, events: readonly PendingEvent[]): Promise<void>;
  /** Publishes events that no document carries: repetitions of what was published before. Rejects when it can't. */
  publishNow(events: readonly PendingEvent[]): Promise<void>;
  /** The job that publishes what a crash, or an absent bus, left behind; for ever. `before` sees the documents first. */
  sweeper(options: { readonly lease: Lease; before?(documents: readonly Document[]): Promise<void> }): Job;
  /** Clears what was published. */
  close(): Promise<void>;
}

/** Makes the index that the sweeper reads by. Only documents with waiting events are in it. */
export async function ensureOutboxIndex<Document extends WithOutbox>(collection: Collection<Document>): Promise<void> {
  await collection.createIndex(
    { "outbox.time": 1 },
    { name: "outbox", partialFilterExpression: { "outbox.0": { $exists: true } } },
  );
}

export function createOutbox<Document extends WithOutbox>(
  documents: Collection<Document>,
  bus: Bus,
  log: Logger,
): Outbox<Document> {
  // The driver's types can't see through the type parameter that every document here carries an outbox.
  const collection = documents as unknown as Collection<WithOutbox>;
  const published = new Map<string, string[]>();
  let timer: NodeJS.Timeout | undefined;
  let clearing = Promise.resolve();

  // An event that stays although it was published comes again, which hearers don't mind: so the cheapest write will do.
  async function clear(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const cleared = [...published];
    published.clear();
    if (cleared.length === 0) return;
    const writes = cleared.map(
      ([_id, ids]) =>
        ({
          updateOne: { filter: { _id }, update: { $pull: { outbox: { id: { $in: ids } } } } },
        }) as AnyBulkWriteOperation<WithOutbox>,
    );
    try {
      await collection.bulkWrite(writes, { ordered: false, writeConcern: { w: 1 } });
    } catch (error) {
      log.warn({ err: error }, "published events were not cleared, they will come again");
    }
  }

  function clearSoon(documentId: string, ids: readonly string[]): void {
    published.set(documentId, [...(published.get(documentId) ?? []), ...ids]);
    if (published.size >= clearBatch) clearing = clearing.then(clear);
    else
      timer ??= setTimeout(() => {
        clearing = clearing.then(clear);
      }, clearDelayMs);
  }

  async function publish(documentId: string, events: readonly PendingEvent[]): Promise<void> {
    await Promise.all(events.map((event) => bus.publish(toEvent(event))));
    clearSoon(
      documentId,
      events.map((event) => event.id),
    );
  }

  async function sweep(signal: AbortSignal, before?: (left: readonly Document[]) => Promise<void>): Promise<void> {
    for (;;) {
      const left = await collection
        .find({ "outbox.0": { $exists: true }, "outbox.time": { $lt: new Date(Date.now() - sweepAfterMs) } })
        .sort({ "outbox.time": 1 })
        .limit(sweepBatch)
        .toArray();
      if (left.length === 0 || signal.aborted) return;
      await before?.(left as unknown as readonly Document[]);
      await Promise.all(left.map((document) => publish(document._id, document.outbox)));
      await clear();
      log.info({ documents: left.length }, "the sweeper published what was left");
    }
  }

  return {
    async relay(documentId, events) {
      try {
        await publish(documentId, events);
      } catch (error) {
        const level = isDependencyLost(error) ? "debug" : "error";
        log[level]({ err: error, document: documentId }, "events stay in the outbox for the sweeper");
      }
    },
    async publishNow(events) {
      await Promise.all(events.map((event) => bus.publish(toEvent(event))));
    },
    sweeper: ({ lease, before }) => ({
      name: `sweep-outbox-${collection.collectionName}`,
      intervalMs: sweepIntervalMs,
      lease,
      run: (signal) => sweep(signal, before),
    }),
    async close() {
      await clearing;
      await clear();
    },
  };
}
