import type { Collection, Db } from "mongodb";
import type { ProductDetails } from "../../domain/product.ts";
import type { Corrections } from "../../domain/search-terms.ts";
import { correctableWords, isOneErrorApart, mayBeMistyped, neighbourKeys } from "../../domain/typing-errors.ts";

interface WordDocument {
  _id: string;
  /** The word, and what is left of it without one of its letters: by these it is found from a word with a typing error. */
  keys: string[];
}

/**
 * The distinct words of all products, by which a mistyped word of a query is corrected. A word that no product has any longer
 * stays, and finds nothing.
 */
export interface Vocabulary {
  /** Adds the words of products. Done before they are written, so that what can be found can be found mistyped. Safe to repeat. */
  learn(products: readonly Pick<ProductDetails, "name" | "description">[]): Promise<void>;
  /** For each of these words the others that it is one typing error away from, ten at most; those that have none are left out. */
  correct(words: readonly string[]): Promise<Corrections>;
}

const maxCorrections = 10;
/** Words that share a key with a mistyped word, most of them two errors away. */
const maxCandidates = 1_000;
/** Words that this process knows to be there already. */
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
          updateOne: { filter: { _id: word }, update: { $setOnInsert: { keys: neighbourKeys(word) } }, upsert: true },
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
        .find({ keys: { $in: typed.flatMap(neighbourKeys) } }, { projection: { _id: 1 } })
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
