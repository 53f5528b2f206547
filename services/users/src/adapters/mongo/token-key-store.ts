import { isDuplicateKey } from "@shop/mongo";
import { Binary, type Db } from "mongodb";
import type { TokenKey } from "../../domain/token-key.ts";

interface TokenKeyDocument {
  /** The name of the key, as tokens carry it. */
  _id: string;
  /** Unique: of two processes that make the next key, one does. */
  generation: number;
  x: string;
  sealed: Binary;
  sign_time: Date;
}

/** A key with its private half as it is kept. */
export interface SealedTokenKey extends TokenKey {
  readonly sealed: Uint8Array;
}

export interface TokenKeyStore {
  /** From the oldest to the newest. */
  list(): Promise<SealedTokenKey[]>;
  /** False when there is a key of that generation. */
  insert(key: SealedTokenKey): Promise<boolean>;
  remove(kids: readonly string[]): Promise<void>;
}

export async function openTokenKeyStore(db: Db): Promise<TokenKeyStore> {
  const keys = db.collection<TokenKeyDocument>("signing_keys");
  // Of before they were sealed: whoever has read the database or a copy of it has them.
  await keys.deleteMany({ sealed: { $exists: false } });
  await keys.createIndex({ generation: 1 }, { name: "generation", unique: true });

  return {
    async list() {
      const documents = await keys.find().sort({ generation: 1 }).toArray();
      return documents.map(({ _id, generation, x, sealed, sign_time }) => ({
        kid: _id,
        generation,
        x,
        sealed: sealed.buffer,
        signTime: sign_time,
      }));
    },
    async insert({ kid, generation, x, sealed, signTime }) {
      try {
        await keys.insertOne({ _id: kid, generation, x, sealed: new Binary(sealed), sign_time: signTime });
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
    async remove(kids) {
      await keys.deleteMany({ _id: { $in: [...kids] } });
    },
  };
}
