import { LRUCache } from "lru-cache";
import type { Principal } from "./principal.ts";

/** A revocation of access tokens before they expire. */
export interface Revocation {
  readonly userId: string;
  /** The session; empty for all sessions of the user. */
  readonly sessionId: string;
  /** For all sessions: tokens of earlier versions of the account are revoked. */
  readonly version: number;
  readonly time: Date;
}

type User = Extract<Principal, { kind: "user" }>;

/** The recent revocations, in this process's memory. */
export interface Revocations {
  add(revocation: Revocation): void;
  /** Whether the caller's token was revoked. */
  isRevoked(caller: User): boolean;
  /**
   * Calls `callBack` when the caller's token is revoked, for streams that outlive the check at their start. Returns a function
   * that unsubscribes.
   */
  whenRevoked(caller: Principal, callBack: () => void): () => void;
}

/**
 * A list of revocations, each kept for `retentionMs`, after which the tokens it applies to have expired. It holds at most
 * `max`: then the least recently used is evicted, and all tokens issued until its time are refused. So a full list refuses too
 * much, never too little.
 */
export function createRevocations({ retentionMs, max = 100_000 }: { retentionMs: number; max?: number }): Revocations {
  let refusedUntil = Number.NEGATIVE_INFINITY;
  const revoked = new LRUCache<string, Revocation>({
    // Not `max`, for which the cache allocates all places at once: 1.6 MiB in each process, and revocations are few.
    maxSize: max,
    sizeCalculation: () => 1,
    dispose({ time }, _key, reason) {
      if (reason === "evict") refusedUntil = Math.max(refusedUntil, time.getTime());
    },
  });
  const watching = new Map<() => void, User>();

  function isRevoked({ userId, token }: User): boolean {
    if (token === undefined) return false;
    if (token.issueTime.getTime() <= refusedUntil) return true;
    return revoked.has(token.sessionId) || token.version < (revoked.get(userId)?.version ?? 0);
  }

  return {
    isRevoked,
    add(revocation) {
      const key = revocation.sessionId || revocation.userId;
      const ttl = revocation.time.getTime() + retentionMs - Date.now();
      // Revocations arrive repeatedly, and in any order.
      if (ttl <= 0 || (revoked.get(key)?.version ?? -1) >= revocation.version) return;
      revoked.set(key, revocation, { ttl });
      for (const [callBack, caller] of watching) if (isRevoked(caller)) callBack();
    },
    whenRevoked(caller, callBack) {
      if (caller.kind !== "user") return () => {};
      watching.set(callBack, caller);
      return () => void watching.delete(callBack);
    },
  };
}
