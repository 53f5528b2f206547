import type { TokenKey } from "../../domain/token-key.ts";

/** A key with its sealed private part. */
export interface SealedTokenKey extends TokenKey {
  readonly sealed: Uint8Array;
}

export interface TokenKeyStore {
  /** Oldest first. */
  list(): Promise<SealedTokenKey[]>;
  /** False when a key of that generation exists. */
  insert(key: SealedTokenKey): Promise<boolean>;
  remove(kids: readonly string[]): Promise<void>;
}
