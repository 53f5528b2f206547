import { inSpan, type Job, type Lease, type Logger } from "@shop/core";
import type { Collection, WriteConcernSettings } from "mongodb";
import type { Bus } from "../bus/bus.ts";
import { sendSpan } from "../bus/spans.ts";
import { isDependencyLost } from "../dependency-lost.ts";
import { type PendingEvent, toBatch, toEvent, type WithOutbox } from "./pending-event.ts";

const sweepIntervalMs = 1_000;
const sweepBatch = 256;
const clearBatch = 256;
const clearDelayMs = 20;

export interface SweeperOptions<Document extends WithOutbox> {
  readonly lease: Lease;
  /** Events younger than this, in milliseconds, are left to the writer that committed them. */
  readonly afterMs: number;
  /** Called with the documents before their events are published. */
  before?(documents: readonly Document[]): Promise<void>;
}

/**
 * Publishes the events in the outboxes of a collection's documents. An event is committed inside its document, published after
 * the commit (relay), and then removed from the document, in batches. If the process dies in between, the sweeper publishes and
 * removes it later. So each event is published at least once.
 */
export interface Outbox<Document extends WithOutbox = WithOutbox> {
  /**
   * Publishes events that were just committed with their document. Never rejects: the sweeper publishes later what can't be
   * published now.
   */
  relay(documentId: string, events: readonly PendingEvent[]): Promise<void>;
  /** Like `relay`, for events that stay in the outbox until a later write removes them, once they have been answered. */
  relayUncleared(events: readonly PendingEvent[]): Promise<void>;
  /** Publishes events that are in no outbox: repetitions of earlier ones. Rejects if it can't. */
  publishNow(events: readonly PendingEvent[]): Promise<void>;
  /** The job that publishes events left behind by a crash or an unavailable bus. */
  sweeper(options: SweeperOptions<Document>): Job;
  /** Removes published events from their documents. */
  close(): Promise<void>;
}

/** Creates the index that the sweeper reads by. It contains only documents with pending events. */
export async function ensureOutboxIndex<Document extends WithOutbox>(collection: Collection<Document>): Promise<void> {
  await collection.createIndex(
    { "outbox.time": 1 },
    { name: "outbox", partialFilterExpression: { "outbox.0": { $exists: true } } },
  );
}

/** An outbox without index and background work; {@link openOutbox} adds them. */
export function createOutbox<Document extends WithOutbox>(
  documents: Collection<Document>,
  bus: Bus,
  log: Logger,
): Outbox<Document> {
  // The driver's types can't derive from the type parameter that every document has an outbox.
  const collection = documents as unknown as Collection<WithOutbox>;
  const published = new Map<string, string[]>();
  let timer: NodeJS.Timeout | undefined;
  let clearing = Promise.resolve();

  // w: 1 is enough: an event that stays after it was published is published again, which consumers tolerate.
  async function clear(writeConcern: WriteConcernSettings = { w: 1 }): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const cleared = [...published];
    published.clear();
    if (cleared.length === 0) return;
    const documentIds = cleared.map(([documentId]) => documentId);
    const eventIds = cleared.flatMap(([, ids]) => ids);
    try {
      await collection.updateMany(
        { _id: { $in: documentIds } },
        { $pull: { outbox: { id: { $in: eventIds } } } },
        { writeConcern },
      );
    } catch (error) {
      log.warn({ err: error }, "published events were not cleared, they will be published again");
    }
  }

  function clearSoon(documentId: string, ids: readonly string[]): void {
    published.set(documentId, [...(published.get(documentId) ?? []), ...ids]);
    if (published.size >= clearBatch) clearing = clearing.then(() => clear());
    else
      timer ??= setTimeout(() => {
        clearing = clearing.then(() => clear());
      }, clearDelayMs);
  }

  async function publishNow(events: readonly PendingEvent[]): Promise<void> {
    await Promise.all(
      events.map((event) => {
        const batch = toBatch(event);
        if (batch === undefined) return bus.publish(toEvent(event));
        return inSpan(`send ${event.type}`, sendSpan(event), () => bus.send(event.type, batch));
      }),
    );
  }

  async function publish(documentId: string, events: readonly PendingEvent[]): Promise<void> {
    if (events.length === 0) return;
    await publishNow(events);
    clearSoon(
      documentId,
      events.map((event) => event.id),
    );
  }

  async function unlessLost(published: Promise<void>): Promise<void> {
    try {
      await published;
    } catch (error) {
      const level = isDependencyLost(error) ? "debug" : "error";
      log[level]({ err: error }, "events stay in the outbox for the sweeper");
    }
  }

  async function sweep(signal: AbortSignal, { lease, afterMs, before }: SweeperOptions<Document>): Promise<void> {
    do {
      const left = await collection
        .find({ "outbox.0": { $exists: true }, "outbox.time": { $lt: new Date(Date.now() - afterMs) } })
        .sort({ "outbox.time": 1 })
        .limit(sweepBatch)
        .toArray();
      if (left.length === 0 || signal.aborted) return;
      await before?.(left as unknown as readonly Document[]);
      await Promise.all(left.map((document) => publish(document._id, document.outbox)));
      // The next read is by majority: it would find, and publish, the same events again.
      await clear({ w: "majority" });
      log.info({ documents: left.length }, "the sweeper published pending events");
      // Two concurrent sweepers would publish a long backlog twice.
    } while (await lease.acquire());
  }

  return {
    relay: (documentId, events) => unlessLost(publish(documentId, events)),
    relayUncleared: (events) => unlessLost(publishNow(events)),
    publishNow,
    sweeper: (options) => ({
      name: `sweep-outbox-${collection.collectionName}`,
      intervalMs: sweepIntervalMs,
      lease: options.lease,
      run: (signal) => sweep(signal, options),
    }),
    async close() {
      await clearing;
      await clear();
    },
  };
}
