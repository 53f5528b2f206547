import type { Logger } from "@shop/core";
import type { ChangeNotices } from "@shop/messaging";

/** Wakes subscribers when their document may have changed, whichever process changed it. */
export interface Changes {
  /** Returns a function that unsubscribes. */
  subscribe(id: string, subscriber: Subscriber): () => void;
}

export interface Subscriber {
  /** The version that it read last; undefined before its first read. */
  version(): number | undefined;
  /** The document may have another version: read it. Called after the change was committed, and also without a change. */
  wake(): void;
}

/** Documents whose versions are read in one query. */
const batchSize = 500;
const defaultPollMs = 2_000;
const defaultRecheckMs = 30_000;

/**
 * Follows documents by the notices of the processes that change them, only while there are subscribers. When notices may have been
 * lost, it compares the versions in the database with those that the subscribers have, and wakes those that differ: in
 * batches, one query at a time. Without notices it does so every `pollMs`, and in any case every `recheckMs`. If the database
 * can't be read, all subscribers are woken, so that their own reads report it.
 */
export function createChanges(on: {
  readonly notices: Pick<ChangeNotices, "listen" | "isLive">;
  /** The current versions of those that exist. */
  versionsOf(ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
  readonly log: Logger;
  readonly pollMs?: number;
  readonly recheckMs?: number;
}): Changes {
  const { notices, log, pollMs = defaultPollMs, recheckMs = defaultRecheckMs } = on;
  const subscribers = new Map<string, Set<Subscriber>>();
  let stop: (() => void) | undefined;
  let isChecking = false;
  let isCheckDue = false;
  let checkedAt = Number.NEGATIVE_INFINITY;

  const subscribersOf = (ids: Iterable<string>) => [...ids].flatMap((id) => [...(subscribers.get(id) ?? [])]);

  function wake(ids: Iterable<string>): void {
    for (const subscriber of subscribersOf(ids)) subscriber.wake();
  }

  async function compareAll(): Promise<void> {
    const ids = [...subscribers.keys()];
    for (let from = 0; from < ids.length; from += batchSize) {
      const part = ids.slice(from, from + batchSize);
      const versions = await on.versionsOf(part);
      for (const id of part)
        for (const subscriber of subscribersOf([id])) if (subscriber.version() !== versions.get(id)) subscriber.wake();
    }
  }

  /** Compares after everything that was committed before this call; one comparison for all calls during another. */
  async function check(): Promise<void> {
    isCheckDue = true;
    if (isChecking) return;
    isChecking = true;
    while (isCheckDue) {
      isCheckDue = false;
      checkedAt = performance.now();
      try {
        await compareAll();
      } catch (error) {
        log.warn({ err: error }, "the versions of watched documents can't be read");
        wake(subscribers.keys());
      }
    }
    isChecking = false;
  }

  function start(): () => void {
    const unlisten = notices.listen({ changed: wake, missed: () => void check() });
    const timer = setInterval(() => {
      if (!notices.isLive() || performance.now() - checkedAt >= recheckMs) void check();
    }, pollMs);
    return () => {
      unlisten();
      clearInterval(timer);
    };
  }

  return {
    subscribe(id, subscriber) {
      subscribers.set(id, (subscribers.get(id) ?? new Set()).add(subscriber));
      stop ??= start();
      return () => {
        const ofDocument = subscribers.get(id);
        if (!ofDocument?.delete(subscriber) || ofDocument.size > 0) return;
        subscribers.delete(id);
        if (subscribers.size > 0) return;
        stop?.();
        stop = undefined;
      };
    },
  };
}
