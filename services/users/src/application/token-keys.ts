import type { SigningKey } from "@shop/auth";
import type { Clock, Logger } from "@shop/core";
import { exportJWK, generateKeyPair } from "jose";
import { type KeyRotation, nextSignTime, retiredKeys, signingKeyAt, type TokenKey } from "../domain/token-key.ts";
import type { Sealer } from "./ports/sealing.ts";
import type { TokenKeyStore } from "./ports/token-key-store.ts";

/** Keys are read again after this time at the earliest, so that unauthenticated calls of ListTokenKeys cost no database reads. */
const freshMs = 1_000;

/** The signing keys of access tokens: one signs; earlier ones and the next one are published for verifying. */
export interface TokenKeys {
  /** The current signing key, from the last read. Every process has read the next key long before it signs. */
  readonly signing: SigningKey;
  readonly rotation: KeyRotation;
  /** All keys whose tokens may be in use now or soon, the signing one first. */
  list(): Promise<readonly TokenKey[]>;
  /** Reads the keys that other processes generated. */
  read(): Promise<void>;
  /** Generates the next key when it is due, and deletes keys whose tokens have all expired. Safe to run concurrently. */
  rotate(): Promise<void>;
}

/**
 * Reads the keys from the database, where they survive restarts. Generates one if this process can't use the newest: because there is
 * none, or because it was sealed with another secret.
 */
export async function openTokenKeys(on: {
  readonly store: TokenKeyStore;
  readonly sealer: Sealer;
  readonly rotation: KeyRotation;
  readonly clock: Clock;
  readonly log: Logger;
}): Promise<TokenKeys> {
  const { store, sealer, rotation, clock, log } = on;
  let keys: readonly (TokenKey & { readonly d: string | undefined })[] = [];
  let readAt = Number.NEGATIVE_INFINITY;

  async function read(): Promise<void> {
    const sealed = await store.list();
    keys = sealed.map(({ sealed, ...key }) => ({ ...key, d: sealer.open(key.kid, sealed) }));
    readAt = performance.now();
  }

  async function generate(signTime: Date): Promise<void> {
    const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const { x, d } = await exportJWK(privateKey);
    const kid = crypto.randomUUID();
    const generation = (keys.at(-1)?.generation ?? 0) + 1;
    const inserted = await store.insert({ kid, generation, x: x!, sealed: sealer.seal(kid, d!), signTime });
    if (inserted) log.info({ kid, sign_time: signTime }, "generated a signing key for access tokens");
    await read();
  }

  await read();
  for (let attempt = 0; keys.at(-1)?.d === undefined && attempt < 2; attempt++) {
    if (keys.length > 0)
      log.warn("the signing key of access tokens was sealed with another TOKEN_KEYS_SECRET: generating another one");
    await generate(clock());
  }

  function signing() {
    const key =
      signingKeyAt(
        keys.filter(({ d }) => d !== undefined),
        clock(),
      ) ?? keys.find(({ d }) => d !== undefined);
    if (key === undefined) throw new Error("there is no key that this process can sign with");
    return key;
  }

  return {
    rotation,
    get signing() {
      const { kid, x, d } = signing();
      return { kty: "OKP", crv: "Ed25519", kid, x, d: d! };
    },
    async list() {
      if (performance.now() - readAt > freshMs) await read();
      const { kid } = signing();
      return keys.toSorted((a, b) => Number(b.kid === kid) - Number(a.kid === kid));
    },
    read,
    async rotate() {
      await read();
      const now = clock();
      const newest = keys.at(-1);
      const next = newest && nextSignTime(newest, now, rotation);
      if (next !== undefined) await generate(next);
      const retired = retiredKeys(keys, now, rotation);
      if (retired.length === 0) return;
      await store.remove(retired.map(({ kid }) => kid));
      log.info({ kids: retired.map(({ kid }) => kid) }, "deleted keys whose tokens have all expired");
      await read();
    },
  };
}
