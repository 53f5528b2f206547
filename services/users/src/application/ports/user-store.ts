import type { PendingEvent } from "@shop/messaging";
import type { User } from "../../domain/user.ts";

export interface UserFilter {
  /** Compared without case. */
  readonly usernamePrefix: string;
  /** A username: only accounts after it in the listing. */
  readonly after: string | undefined;
}

/** Accounts. Deleted ones are not found, except where noted. */
export interface UserStore {
  /**
   * Commits a new account. With a `requestId`, "request_made", and nothing stored, when an account with that idempotency key exists.
   * Throws USERNAME_TAKEN. Both are decided by unique indexes.
   */
  insert(user: User, requestId?: string): Promise<"inserted" | "request_made">;
  /** The account that was registered with this idempotency key; of a deleted one only the id is left. */
  findByRequest(requestId: string): Promise<User | undefined>;
  findByUsername(username: string): Promise<User | undefined>;
  findById(userId: string): Promise<User | undefined>;
  /** Sorted by name without case. */
  list(filter: UserFilter, limit: number): Promise<User[]>;
  hasAdmin(): Promise<boolean>;
  /**
   * Commits `changed` with its revocation events by compare-and-set: false, and nothing stored, when the version is no longer `read`'s.
   * Throws LAST_ADMIN when no active administrator would be left.
   */
  update(read: User, changed: User, events: readonly PendingEvent[]): Promise<boolean>;
  /** Replaces the hash by another one of the same password; does nothing if the hash changed meanwhile. */
  replaceHash(read: User, passwordHash: string): Promise<void>;
  /**
   * Deletes an account in the same way, and frees its name. The sweeper publishes the events in `later` when their time has come.
   */
  remove(read: User, now: Date, events: readonly PendingEvent[], later: readonly PendingEvent[]): Promise<boolean>;
  /** The last revocation of each account whose access was revoked since `since`. */
  revokedSince(since: Date): AsyncIterable<PendingEvent>;
  /** Accounts that were deleted from `since` to `before`, with their version after the deletion. */
  deletedSince(
    since: Date,
    before: Date,
  ): AsyncIterable<Pick<User, "userId" | "version"> & { readonly deleteTime: Date }>;
}
