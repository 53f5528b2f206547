import type { PendingEvent } from "@shop/messaging";
import type { Session } from "../../domain/session.ts";

/** Sessions that were not ended. Whether one is live depends on its account, too: see `isLive`. */
export interface SessionStore {
  insert(session: Session): Promise<void>;
  findById(sessionId: string): Promise<Session | undefined>;
  findByFamily(familyHash: Uint8Array): Promise<Session | undefined>;
  /** A user's live sessions at `now`, newest first. */
  list(
    filter: { userId: string; sessionsSince: number; now: Date; after: string | undefined },
    limit: number,
  ): Promise<Session[]>;
  /** Replaces the current token by compare-and-set: false when it is no longer `read`'s. */
  rotate(read: Session, next: Pick<Session, "tokenHash" | "spent" | "lastUseTime" | "expireTime">): Promise<boolean>;
  /** Ends a session and commits the events with it; false, and nothing stored, when it had ended before. */
  end(sessionId: string, now: Date, events: readonly PendingEvent[]): Promise<boolean>;
  /** Sessions that were ended since `since`, before they expired. */
  endedSince(
    since: Date,
  ): AsyncIterable<{ readonly sessionId: string; readonly userId: string; readonly endTime: Date }>;
  /** Excepts a session from the end of all sessions of its account, by giving it the account's new version. */
  keep(read: Session, userVersion: number): Promise<void>;
  /** Deletes all sessions of a user. */
  removeAll(userId: string): Promise<void>;
}
