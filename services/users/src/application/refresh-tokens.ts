import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Session, SpentToken } from "../domain/session.ts";
import { withinGrace } from "../domain/session.ts";

const familyBytes = 16;
const secretBytes = 32;
const tokenFormat = /^[\w-]{64}$/;

/** A refresh token: the name of its family, which all tokens of a session share, and 256 random bits that can be used once. */
export interface RefreshToken {
  readonly family: Uint8Array;
  readonly secret: Uint8Array;
}

export function newRefreshToken(): RefreshToken {
  return { family: randomBytes(familyBytes), secret: randomBytes(secretBytes) };
}

/** The token as sent: 64 characters of base64url. */
export function toText({ family, secret }: RefreshToken): string {
  return Buffer.concat([family, secret]).toString("base64url");
}

/** Undefined when the text does not have the form of a token. */
export function fromText(text: string): RefreshToken | undefined {
  if (!tokenFormat.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  return { family: bytes.subarray(0, familyBytes), secret: bytes.subarray(familyBytes) };
}

/** The stored form of either part. Random bits need no salt and no slow hash. */
export function hashOf(part: Uint8Array): Uint8Array {
  return createHash("sha256").update(part).digest();
}

/** Exchanges a token: returns its successor, and the record of the spent one. */
export function spend(token: RefreshToken, time: Date): { readonly next: RefreshToken; readonly spent: SpentToken } {
  const nonce = randomBytes(secretBytes);
  return { next: follow(token, nonce), spent: { hash: hashOf(token.secret), nonce, time } };
}

/**
 * Compares a token with its session: `good` is the current token; `graced` was spent within the grace period, and leads to `current`; any
 * other is `reused`, because a caller that knows the family has held one of its tokens.
 */
export function checkRefreshToken(
  session: Session,
  token: RefreshToken,
  now: Date,
): { readonly kind: "good" | "reused" } | { readonly kind: "graced"; readonly current: RefreshToken } {
  const hash = hashOf(token.secret);
  if (isSame(hash, session.tokenHash)) return { kind: "good" };
  const spent = withinGrace(session.spent, now);
  const at = spent.findIndex((one) => isSame(one.hash, hash));
  if (at === -1) return { kind: "reused" };
  return { kind: "graced", current: spent.slice(at).reduce((one, { nonce }) => follow(one, nonce), token) };
}

/** The successor is derived, not random, so that a second use within the grace period gets the same one although only hashes are stored. */
function follow({ family, secret }: RefreshToken, nonce: Uint8Array): RefreshToken {
  return { family, secret: createHmac("sha256", secret).update(nonce).digest() };
}

/** Compares hashes, whose timing reveals nothing about the hashed value. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
