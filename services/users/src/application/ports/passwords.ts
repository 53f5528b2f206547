import type { opaqueString } from "../../domain/opaque-string.ts";

export interface HashCaller {
  /** The client address. */
  readonly address: string;
  /** Whether the account has signed in from that network before. */
  readonly isKnown: boolean;
}

export interface PasswordMatch {
  readonly matches: boolean;
  /** The hash has a lower cost than the current one, or is of a password that was not normalized: replace it while the password is known. */
  readonly isOutdated: boolean;
}

/**
 * Bounded password hashing, the most expensive work that an unauthenticated caller can cause. When `signal` aborts, a waiting hash leaves
 * the queue, and the call rejects with the signal's reason.
 */
export interface Passwords {
  /** Hashes the password in the form of {@link opaqueString}. */
  hash(password: string, signal?: AbortSignal, caller?: HashCaller): Promise<string>;
  /**
   * Compares a password with a hash. Hashes of earlier releases are of the password as typed, so a password that normalization changes
   * is compared in both forms. Without a hash nothing matches, after the same time, so that timing does not reveal which names exist.
   */
  verify(
    passwordHash: string | undefined,
    password: string,
    signal?: AbortSignal,
    caller?: HashCaller,
  ): Promise<PasswordMatch>;
  /** Terminates the worker threads. Pending calls never settle. */
  close(): Promise<void>;
}
