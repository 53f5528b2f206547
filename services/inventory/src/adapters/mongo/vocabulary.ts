import type { Collection, Db } from "mongodb";
import type { ProductDetails } from "../../domain/product.ts";
import type { Corrections } from "../../domain/search-terms.ts";
import { correctableWords, deletionKeys, isOneErrorApart, mayBeMistyped } from "../../domain/typing-errors.ts";

interface WordDocument {
  _id: string;
  /** See `deletionKeys`: a mistyped word shares one of them. */
  keys: string[];
}

/** The distinct words of all products, for correcting mistyped words of queries. Words are never removed; unused ones match nothing. */
export interface Vocabulary {
  /** Adds the words of products. Called before the products are written, so that every findable word can be corrected. Safe to repeat. */
  learn(products: readonly Pick<ProductDetails, "name" | "description">[]): Promise<void>;
  /** By word, up to ten words that are one typing error apart; words without any are missing. */
  correct(words: readonly string[]): Promise<Corrections>;
}

const maxCorrections = 10;
/** Words that share a key with the typed words; most are two errors apart and are dropped. */
const maxCandidates = 1_000;
/** Words that this process knows to be stored. */
const maxRemembered = 100_000;

/** Opens the collection, with its index. */
export async function openVocabulary(db: Db): Promise<Vocabulary> {
  const vocabulary = db.collection<WordDocument>("words");
  await vocabulary.createIndex({ keys: 1 }, { name: "keys" });
  return createVocabulary(vocabulary);
}

function createVocabulary(vocabulary: Collection<WordDocument>): Vocabulary {
  const remembered = new Set<string>();
  return {
    async learn(products) {
      const words = new Set(products.flatMap(({ name, description }) => [name, description]).flatMap(distinctWords));
      const unknown = [...words.difference(remembered)];
      if (unknown.length === 0) return;
      await vocabulary.bulkWrite(
        unknown.map((word) => ({
          updateOne: { filter: { _id: word }, update: { $setOnInsert: { keys: deletionKeys(word) } }, upsert: true },
        })),
        { ordered: false },
      );
      if (remembered.size + unknown.length > maxRemembered) remembered.clear();
      for (const word of unknown) remembered.add(word);
    },

    async correct(words) {
      const typed = words.filter(mayBeMistyped);
      if (typed.length === 0) return new Map();
      const candidates = await vocabulary
        .find({ keys: { $in: typed.flatMap(deletionKeys) } }, { projection: { _id: 1 } })
        .limit(maxCandidates)
        .toArray();
      const corrections = typed.map((word) => {
        const meant = candidates.map(({ _id }) => _id).filter((candidate) => isOneErrorApart(word, candidate));
        return [word, meant.sort().slice(0, maxCorrections)] as const;
      });
      return new Map(corrections.filter(([, meant]) => meant.length > 0));
    },
  };
}

const distinctWords = (text: string) => [...correctableWords(text)];
