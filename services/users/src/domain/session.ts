import type { User } from "./user.ts";

/**
 * A refresh token that was exchanged a moment ago. With its text, which nobody keeps, and `nonce` the next one can be made
 * again; either alone is worth nothing.
 */
export interface SpentToken {
  readonly hash: Uint8Array;
  readonly nonce: Uint8Array;
  readonly time: Date;
}

/** A sign-in that goes on: one family of refresh tokens, of which one is good. */
export interface Session {
  readonly sessionId: string;
  readonly userId: string;
  /** Of the account as it was when the session was opened. */
  readonly userVersion: number;
  /** Names the family in its tokens; kept as a hash, too. */
  readonly familyHash: Uint8Array;
  /** Of the token that is good. */
  readonly tokenHash: Uint8Array;
  /** Those that were spent last, the oldest first. */
  readonly spent: readonly SpentToken[];
  readonly userAgent: string;
  readonly createTime: Date;
  readonly lastUseTime: Date;
  readonly expireTime: Date;
}

/** How long sessions last, in milliseconds. */
export interface SessionLifetime {
  /** Without a refresh. */
  readonly idleMs: number;
  /** At most. */
  readonly maxMs: number;
}

/**
 * So long, in milliseconds, a spent token still leads to the one that took its place. It is for two tabs that refresh at the
 * same moment, and for a retry after a lost answer; later uses are a thief's, or of whoever was robbed.
 */
const spentGraceMs = 10_000;

/** So many spent tokens are kept; an older one has no grace. */
const maxSpent = 8;

export function expireTimeOf(createTime: Date, lastUseTime: Date, lifetime: SessionLifetime): Date {
  return new Date(Math.min(lastUseTime.getTime() + lifetime.idleMs, createTime.getTime() + lifetime.maxMs));
}

/** Tells whether the session still stands: not expired, and not ended together with all others of its account. */
export function isLive(session: Session, user: User, now: Date): boolean {
  return session.userVersion >= user.sessionsSince && session.expireTime > now;
}

/** Spent tokens that still lead on, the one that is spent now included. */
export function spentWith(session: Session, spent: SpentToken): readonly SpentToken[] {
  return [...stillGood(session.spent, spent.time), spent].slice(-maxSpent);
}

/** Spent tokens that still lead on. */
export function stillGood(spent: readonly SpentToken[], now: Date): readonly SpentToken[] {
  return spent.filter(({ time }) => time.getTime() + spentGraceMs > now.getTime());
}
