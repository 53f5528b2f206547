import { LRUCache } from "lru-cache";
import type { Principal } from "./principal.ts";

/** Access that ended before its tokens expire. */
export interface Revocation {
  readonly userId: string;
  /** Only that session; all of the user's when it is empty. */
  readonly sessionId: string;
  /** Of a whole user: tokens of earlier versions of the account are revoked. */
  readonly version: number;
  readonly time: Date;
}

type User = Extract<Principal, { kind: "user" }>;

/** What was revoked lately, in this process's memory. */
export interface Revocations {
  add(revocation: Revocation): void;
  /** Tells whether the token that the caller came with was revoked. */
  isRevoked(caller: User): boolean;
  /** Calls back once the caller's token is revoked, for what goes on after the call began. The answer ends it. */
  whenRevoked(caller: Principal, callBack: () => void): () => void;
}

/**
 * A list that forgets each revocation after `keptMs`, when the tokens it is about have expired. It holds `max` at most: the one
 * used least makes room, and with it every token as old as that is refused, so that a full list refuses too much, never too little.
 */
export function createRevocations({ keptMs, max = 100_000 }: { keptMs: number; max?: number }): Revocations {
  let refusedUntil = Number.NEGATIVE_INFINITY;
  const revoked = new LRUCache<string, Revocation>({
    max,
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
      const ttl = revocation.time.getTime() + keptMs - Date.now();
      // They come more than once, and in any order.
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
