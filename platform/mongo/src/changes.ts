import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@shop/core";
import type { Collection, Document } from "mongodb";

/** Wakes those who wait for a document of a collection to change, whichever process changes it. */
export interface Changes {
  /**
   * Calls `wake` whenever the document may have changed since it was last called, or since this was; also in vain. It tells
   * that, not what: read the document when woken. The answer ends it.
   */
  subscribe(id: string, wake: () => void): () => void;
}

/** What crosses the network of a change, besides the stream's own token. */
interface ChangedDocument extends Document {
  readonly documentKey: { readonly _id: string };
}

const retryMs = 1_000;
/** How long the server waits for the next change before it says that there is none. */
const waitMs = 1_000;

/**
 * Follows the collection by one change stream, open only while somebody waits. `filter` is a `$match` on change events; only
 * the id of what changed crosses the network. When the stream is lost all are woken, and again once it is back: whoever reads
 * when woken misses nothing.
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
        log.warn({ err: error, collection: collection.collectionName }, "changes can't be followed, trying again");
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
      // What comes after that time will be told, however long the opening takes; what came before can be read now.
      wakeAll();
      const first = await stream.tryNext();
      if (first !== null) wakeFor(first);
      // Not earlier: closed while it is being opened, the stream would leave its cursor behind on the server.
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
