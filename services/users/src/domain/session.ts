import type { User } from "./user.ts";

/**
 * A refresh token that was exchanged recently. Its successor can be derived from its text, which is not stored, together with `nonce`;
 * either alone is useless.
 */
export interface SpentToken {
  readonly hash: Uint8Array;
  readonly nonce: Uint8Array;
  readonly time: Date;
}

/** A sign-in: a family of refresh tokens, of which one is current. */
export interface Session {
  readonly sessionId: string;
  readonly userId: string;
  /** The account's version when the session was opened, or kept by a change of password. */
  readonly userVersion: number;
  /** Of the family's name, which all tokens of the session contain. */
  readonly familyHash: Uint8Array;
  /** Of the current token. */
  readonly tokenHash: Uint8Array;
  /** The last spent tokens, oldest first. */
  readonly spent: readonly SpentToken[];
  readonly userAgent: string;
  readonly createTime: Date;
  readonly lastUseTime: Date;
  readonly expireTime: Date;
}

export interface SessionLifetime {
  /** From the last refresh. */
  readonly idleMs: number;
  /** From the sign-in. */
  readonly maxMs: number;
}

/**
 * A spent token can be exchanged again within this time, for two tabs that refresh at the same moment and for a retry after a lost
 * response. A later use means that the token was stolen, by this or the earlier caller.
 */
const spentGraceMs = 10_000;

/** Stored spent tokens; older ones have no grace period. */
const maxSpent = 8;

export function expireTimeOf(createTime: Date, lastUseTime: Date, lifetime: SessionLifetime): Date {
  return new Date(Math.min(lastUseTime.getTime() + lifetime.idleMs, createTime.getTime() + lifetime.maxMs));
}

/** Whether a session has neither expired nor ended together with all sessions of its account. */
export function isLive(session: Session, user: User, now: Date): boolean {
  return session.userVersion >= user.sessionsSince && session.expireTime > now;
}

/** The spent tokens to store: those within the grace period, and the one that is spent now. */
export function appendSpent(session: Session, spent: SpentToken): readonly SpentToken[] {
  return [...withinGrace(session.spent, spent.time), spent].slice(-maxSpent);
}

/** The spent tokens that can be exchanged again. */
export function withinGrace(spent: readonly SpentToken[], now: Date): readonly SpentToken[] {
  return spent.filter(({ time }) => time.getTime() + spentGraceMs > now.getTime());
}
