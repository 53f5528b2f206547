import type { SigningKey } from "@shop/platform";
import { exportJWK, generateKeyPair } from "jose";
import type { Db } from "mongodb";

interface SigningKeyDocument {
  _id: string;
  /** The private key as a JSON Web Key. */
  jwk: SigningKey;
  create_time: Date;
}

export interface SigningKeyStore {
  /** The key that signs new tokens. */
  readonly current: SigningKey;
  /** Every key whose tokens may still be in use, the current one of this process first. */
  list(): Promise<readonly SigningKey[]>;
}

/**
 * Opens the keys that access tokens are signed with, and makes the first one. They live in the database, so that a restart
 * signs nobody out. Two replicas that start at once may make one each: both are listed, so either is good.
 */
export async function openSigningKeyStore(db: Db): Promise<SigningKeyStore> {
  const keys = db.collection<SigningKeyDocument>("signing_keys");
  const readAll = async () => (await keys.find().sort({ _id: 1 }).toArray()).map((document) => document.jwk);

  let [current] = await readAll();
  if (current === undefined) {
    const made = await makeSigningKey();
    await keys.insertOne({ _id: made.kid, jwk: made, create_time: new Date() });
    current = (await readAll())[0] ?? made;
  }
  const { kid } = current;
  return {
    current,
    async list() {
      return (await readAll()).sort((a, b) => Number(b.kid === kid) - Number(a.kid === kid));
    },
  };
}

async function makeSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return { ...(await exportJWK(privateKey)), kid: crypto.randomUUID() };
}
