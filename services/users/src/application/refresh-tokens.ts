import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Session, SpentToken } from "../domain/session.ts";
import { stillGood } from "../domain/session.ts";

const familyBytes = 16;
const secretBytes = 32;
const tokenFormat = /^[\w-]{64}$/;

/** A refresh token: what names its family, and 256 random bits that are good once. */
export interface RefreshToken {
  readonly family: Uint8Array;
  readonly secret: Uint8Array;
}

export function newRefreshToken(): RefreshToken {
  return { family: randomBytes(familyBytes), secret: randomBytes(secretBytes) };
}

/** As it is sent: 64 characters of base64url. */
export function toText({ family, secret }: RefreshToken): string {
  return Buffer.concat([family, secret]).toString("base64url");
}

/** Undefined when the text was never a token. */
export function fromText(text: string): RefreshToken | undefined {
  if (!tokenFormat.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  return { family: bytes.subarray(0, familyBytes), secret: bytes.subarray(familyBytes) };
}

/** All that is kept of either part. Random bits need no salt and no slow hash. */
export function hashOf(part: Uint8Array): Uint8Array {
  return createHash("sha256").update(part).digest();
}

/** The token that takes the place of this one, and what is kept of this one. */
export function spend(token: RefreshToken, time: Date): { readonly next: RefreshToken; readonly spent: SpentToken } {
  const nonce = randomBytes(secretBytes);
  return { next: follow(token, nonce), spent: { hash: hashOf(token.secret), nonce, time } };
}

/**
 * What a token that was sent is to its session: the one that is good, `graced` when it was spent a moment ago, with the one that
 * it leads to, or reused. Whoever knows the name of the family has held one of its tokens: so there is nothing else.
 */
export function judge(
  session: Session,
  token: RefreshToken,
  now: Date,
): { readonly kind: "good" | "reused" } | { readonly kind: "graced"; readonly current: RefreshToken } {
  const hash = hashOf(token.secret);
  if (isSame(hash, session.tokenHash)) return { kind: "good" };
  const spent = stillGood(session.spent, now);
  const at = spent.findIndex((one) => isSame(one.hash, hash));
  if (at === -1) return { kind: "reused" };
  return { kind: "graced", current: spent.slice(at).reduce((one, { nonce }) => follow(one, nonce), token) };
}

/** The successor is made, not drawn, so that a second use can be answered with the same one and yet nothing but hashes is kept. */
function follow({ family, secret }: RefreshToken, nonce: Uint8Array): RefreshToken {
  return { family, secret: createHmac("sha256", secret).update(nonce).digest() };
}

/** Of hashes: their time tells nothing about what was hashed. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
