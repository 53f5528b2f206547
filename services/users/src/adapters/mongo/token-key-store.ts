import { isDuplicateKey } from "@shop/mongo";
import { Binary, type Db } from "mongodb";
import type { TokenKeyStore } from "../../application/ports/token-key-store.ts";

interface TokenKeyDocument {
  /** The `kid` of tokens. */
  _id: string;
  /** Unique, so that of two processes that generate the next key one succeeds. */
  generation: number;
  x: string;
  sealed: Binary;
  sign_time: Date;
}

/** Opens the collection and creates its index. */
export async function openTokenKeyStore(db: Db): Promise<TokenKeyStore> {
  const keys = db.collection<TokenKeyDocument>("signing_keys");
  // Early releases stored keys unsealed: readers of the database or of a backup have them.
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
