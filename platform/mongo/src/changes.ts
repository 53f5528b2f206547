import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@shop/core";
import type { Collection, Document } from "mongodb";

/** Notifies subscribers of changes to documents of a collection, made by any process. */
export interface Changes {
  /**
   * Calls `wake` whenever the document may have changed since the last call, or since subscribing; also without a change. It
   * says only that it changed: read the document then. Returns a function that unsubscribes.
   */
  subscribe(id: string, wake: () => void): () => void;
}

/** The part of a change event that is sent, besides the resume token. */
interface ChangedDocument extends Document {
  readonly documentKey: { readonly _id: string };
}

const retryMs = 1_000;
/** How long the server waits for the next change before it returns an empty batch. */
const waitMs = 1_000;

/**
 * Follows the collection through one change stream, open only while there are subscribers. `filter` is a `$match` on change
 * events; only ids of changed documents are sent. When the stream is lost all subscribers are woken, and again once it is back:
 * a subscriber that reads when woken misses nothing.
 */
export function createChanges<Stored extends Document & { _id: string }>(
  collection: Collection<Stored>,
  filter: Document,
  log: Logger,
): Changes {
  const subscribers = new Map<string, Set<() => void>>();
  let following: AbortController | undefined;

  function wakeAll(): void {
    for (const wakes of subscribers.values()) for (const wake of wakes) wake();
  }

  async function follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await followOnce(signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error, collection: collection.collectionName }, "the change stream was lost, retrying");
        wakeAll();
        await delay(retryMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async function followOnce(signal: AbortSignal): Promise<void> {
    const { operationTime } = await collection.db.command({ ping: 1 });
    const stream = collection.watch<Stored, ChangedDocument>([{ $match: filter }, { $project: { documentKey: 1 } }], {
      startAtOperationTime: operationTime,
      maxAwaitTimeMS: waitMs,
    });
    const wakeFor = (change: ChangedDocument) => {
      for (const wake of subscribers.get(change.documentKey._id) ?? []) wake();
    };
    const close = () => void stream.close().catch(() => {});
    try {
      // Changes after operationTime will be delivered, however long opening takes; earlier ones can be read now.
      wakeAll();
      const first = await stream.tryNext();
      if (first !== null) wakeFor(first);
      // Not earlier: a stream that is closed while it opens leaves its cursor open on the server.
      signal.addEventListener("abort", close);
      while (!signal.aborted) wakeFor(await stream.next());
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  return {
    subscribe(id, wake) {
      const wakes = subscribers.get(id) ?? new Set();
      subscribers.set(id, wakes.add(wake));
      if (following === undefined) {
        following = new AbortController();
        void follow(following.signal);
      }
      return () => {
        if (!wakes.delete(wake) || wakes.size > 0) return;
        subscribers.delete(id);
        if (subscribers.size > 0) return;
        following?.abort();
        following = undefined;
      };
    },
  };
}
