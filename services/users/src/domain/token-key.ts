/** A key that signs access tokens, as far as it may be told. */
export interface TokenKey {
  readonly kid: string;
  /** One more than that of the key before. */
  readonly generation: number;
  /** The public half, base64url. */
  readonly x: string;
  /** It signs from then on, until the next one does. */
  readonly signTime: Date;
}

/** When keys change, in milliseconds. */
export interface KeyRotation {
  /** How long a key signs. */
  readonly periodMs: number;
  /** So long before it signs a key can be had by those who check, and so long after its last token it still can. */
  readonly leadMs: number;
  /** How long a token is good for. */
  readonly tokenMs: number;
}

const maxLeadMs = 10 * 60 * 1000;

export function keyRotation(periodMs: number, tokenMs: number): KeyRotation {
  return { periodMs, leadMs: Math.min(maxLeadMs, periodMs / 3), tokenMs };
}

/** Which of the keys signs now: the last one whose time has come. Keys go from the oldest to the newest. */
export function signingKeyAt<Key extends TokenKey>(keys: readonly Key[], now: Date): Key | undefined {
  return keys.findLast(({ signTime }) => signTime <= now);
}

/** When the next key is to sign, if it is time to make it. */
export function nextSignTime(newest: TokenKey, now: Date, { periodMs, leadMs }: KeyRotation): Date | undefined {
  const due = newest.signTime.getTime() + periodMs;
  return due - leadMs > now.getTime() ? undefined : new Date(Math.max(due, now.getTime() + leadMs));
}

/** Keys of which every token has expired: those whose successor has signed for so long. */
export function retiredKeys(keys: readonly TokenKey[], now: Date, { tokenMs, leadMs }: KeyRotation): TokenKey[] {
  return keys.filter((_, index) => {
    const successor = keys[index + 1];
    return successor !== undefined && successor.signTime.getTime() + tokenMs + leadMs < now.getTime();
  });
}
