/** The public part of a signing key of access tokens. */
export interface TokenKey {
  readonly kid: string;
  /** One more than that of the previous key. */
  readonly generation: number;
  /** The public half, base64url. */
  readonly x: string;
  /** It signs from this time until the next key's. */
  readonly signTime: Date;
}

export interface KeyRotation {
  /** How long a key signs. */
  readonly periodMs: number;
  /** A key is published this long before it signs, and this long after its last token has expired. */
  readonly leadMs: number;
  /** The lifetime of an access token. */
  readonly tokenMs: number;
}

const maxLeadMs = 10 * 60 * 1000;

export function keyRotation(periodMs: number, tokenMs: number): KeyRotation {
  return { periodMs, leadMs: Math.min(maxLeadMs, periodMs / 3), tokenMs };
}

/** The key that signs now: the last one whose time has come. @param keys oldest first */
export function signingKeyAt<Key extends TokenKey>(keys: readonly Key[], now: Date): Key | undefined {
  return keys.findLast(({ signTime }) => signTime <= now);
}

/** The time from which the next key is to sign; undefined when it is too early to generate it. */
export function nextSignTime(newest: TokenKey, now: Date, { periodMs, leadMs }: KeyRotation): Date | undefined {
  const due = newest.signTime.getTime() + periodMs;
  return due - leadMs > now.getTime() ? undefined : new Date(Math.max(due, now.getTime() + leadMs));
}

/** The keys whose tokens have all expired, by the time since their successor began to sign. @param keys oldest first */
export function retiredKeys(keys: readonly TokenKey[], now: Date, { tokenMs, leadMs }: KeyRotation): TokenKey[] {
  return keys.filter((_, index) => {
    const successor = keys[index + 1];
    return successor !== undefined && successor.signTime.getTime() + tokenMs + leadMs < now.getTime();
  });
}
