import type { SigningKey } from "@shop/auth";
import type { Clock, Logger } from "@shop/core";
import { exportJWK, generateKeyPair } from "jose";
import type { Sealer } from "../adapters/crypto/sealing.ts";
import type { TokenKeyStore } from "../adapters/mongo/token-key-store.ts";
import { type KeyRotation, nextSignTime, retiredKeys, signingKeyAt, type TokenKey } from "../domain/token-key.ts";

/** What was read so lately is as good as new: strangers may ask as often as they like. */
const freshMs = 1_000;

/** The keys of access tokens: one signs, those before it and the one to come can be had by whoever checks. */
export interface TokenKeys {
  /** Signs now. As this process read it last: the next one is known to all long before its time. */
  readonly signing: SigningKey;
  readonly rotation: KeyRotation;
  /** Every key whose tokens may be in use, or soon will be; the one that signs comes first. */
  list(): Promise<readonly TokenKey[]>;
  /** Reads what other processes have made. */
  read(): Promise<void>;
  /** Makes the next key when it is time, and forgets those whose tokens have all expired. Safe to do twice at once. */
  rotate(): Promise<void>;
}

/**
 * Opens the keys, which are in the database so that a restart signs nobody out, and makes one unless this process can use the
 * newest: there is none yet, or it was sealed with another secret.
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

  async function make(signTime: Date): Promise<void> {
    const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const { x, d } = await exportJWK(privateKey);
    const kid = crypto.randomUUID();
    const generation = (keys.at(-1)?.generation ?? 0) + 1;
    const made = await store.insert({ kid, generation, x: x!, sealed: sealer.seal(kid, d!), signTime });
    if (made) log.info({ kid, sign_time: signTime }, "a key of access tokens was made");
    await read();
  }

  await read();
  for (let attempt = 0; keys.at(-1)?.d === undefined && attempt < 2; attempt++) {
    if (keys.length > 0)
      log.warn("the key of access tokens was sealed with another TOKEN_KEYS_SECRET: making another one");
    await make(clock());
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
      if (next !== undefined) await make(next);
      const retired = retiredKeys(keys, now, rotation);
      if (retired.length === 0) return;
      await store.remove(retired.map(({ kid }) => kid));
      log.info({ kids: retired.map(({ kid }) => kid) }, "keys whose tokens have all expired were forgotten");
      await read();
    },
  };
}
