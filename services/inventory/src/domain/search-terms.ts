import { foldText } from "./fold-text.ts";
import type { ProductDetails } from "./product.ts";
import { cut, joinedCompounds, joinedPairs, type Word, wordsOf } from "./words.ts";

/** Why a product has a term: its tag tells. */
const tags = {
  category: "c:",
  attribute: "a:",
  /** The whole SKU. */
  sku: "k:",
  /** A word of the name, or two of its words written as one. */
  word: "w:",
  /** Begins a word of the name, and is none. */
  beginning: "b:",
  /** Is or begins a part of the SKU, and is neither of the above. */
  skuPart: "s:",
  /** A word of the description, and none of the above. */
  told: "d:",
} as const;

/**
 * What every product that can be found has, so that whatever is asked for is asked for by a term. It marks how the terms were
 * computed: whatever changes them needs another mark, and makes this one an earlier one.
 */
export const everyProduct = "*1";
/** Marks of products whose terms an earlier release computed. */
export const earlierMarks: readonly string[] = ["*"];

/** Words of a description and of a query that count. */
const maxToldWords = 256;
const maxQueryWords = 8;

/** Terms of which a product has to have one. */
export type AnyOf = readonly string[];

/** What a product has to have, a term out of each list, and what it must not have, all of such a list. */
export interface TermQuery {
  readonly all: readonly AnyOf[];
  readonly none: readonly (readonly AnyOf[])[];
}

/** Words that one of a query may be meant to be, where it was mistyped. */
export type Corrections = ReadonlyMap<string, readonly string[]>;

function beginningsOf(word: string): string[] {
  const letters = [...word];
  return letters.map((_, index) => letters.slice(0, index + 1).join(""));
}

/** Words of a description, those written with punctuation also as one; a single letter that punctuation cuts off is not worth a term. */
function toldWordsOf(description: string): Set<string> {
  const words = wordsOf(description, { tails: true });
  const sizes = Map.groupBy(words, ({ compound }) => compound);
  const isCutOff = ({ text, isSpaced, compound }: Word) =>
    isSpaced && text.length === 1 && sizes.get(compound)!.length > 1;
  const alone = words.filter((word) => !isCutOff(word)).map(({ text }) => text);
  return new Set([...alone.slice(0, maxToldWords), ...joinedCompounds(words)].slice(0, maxToldWords));
}

/**
 * What a product is found by. A word is told by the best of its places alone, so that a search for one word is a list of
 * disjoint terms. Their number is bounded by the lengths of name and SKU, and by 256 words of the description.
 */
export function termsOf({ name, description, category, sku = "", attributes }: ProductDetails): string[] {
  const named = wordsOf(name, { tails: true });
  const compounds = joinedCompounds(named);
  const texts = named.map(({ text }) => text);
  const words = new Set([...texts, ...compounds, ...joinedPairs(named)]);
  const beginnings = new Set([...texts, ...compounds].flatMap(beginningsOf)).difference(words);
  const skuWords = wordsOf(sku);
  const parts = new Set([...skuWords.map(({ text }) => text), ...joinedCompounds(skuWords)].flatMap(beginningsOf))
    .difference(words)
    .difference(beginnings);
  const told = toldWordsOf(description).difference(words).difference(beginnings).difference(parts);
  const tagged = (tag: string, of: Iterable<string>) => Array.from(of, (text) => tag + text);
  return [
    everyProduct,
    categoryTerm(category),
    ...new Set(Object.entries(attributes).map(([key, value]) => attributeTerm(`${key}:${value}`))),
    ...(sku === "" ? [] : [skuTerm(skuWords)]),
    ...tagged(tags.word, words),
    ...tagged(tags.beginning, beginnings),
    ...tagged(tags.skuPart, parts),
    ...tagged(tags.told, told),
  ];
}

/** Of a category, whatever its case and form. */
export const categoryTerm = (category: string) => tags.category + foldText(category);
/** Of an attribute, written as `key:value`. */
export const attributeTerm = (attribute: string) => tags.attribute + foldText(attribute);
const skuTerm = (words: readonly Word[]) => tags.sku + words.map(({ text }) => text).join("");

/** A name by which products are sorted. */
export function nameKeyOf(name: string): string {
  return cut(foldText(name), 100);
}

const { word, beginning, skuPart, told } = tags;
/** Where a word of a query may be, from the best place to any. */
const places = [[word], [word, beginning, skuPart], [word, beginning, skuPart, told]] as const;
const anyPlace = places.at(-1)!;

/** A word of a query, in each of its spellings: alone, and in one word with a neighbour. */
type AskedWord = readonly string[];

function askedWordsOf(text: string): AskedWord[] {
  const words = wordsOf(text);
  const compounds = Map.groupBy(words, ({ compound }) => compound);
  const asked = words.map((word, index) => [
    word.text,
    ...joinedPairs(words.slice(Math.max(0, index - 1), index + 2)),
    ...joinedCompounds(compounds.get(word.compound)!),
  ]);
  const distinct = new Map(asked.map((spellings) => [spellings[0]!, [...new Set(spellings)]]));
  return [...distinct.values()].slice(0, maxQueryWords);
}

const wordsIn = (words: readonly AskedWord[], tagsOfPlace: readonly string[]): AnyOf[] =>
  words.map((spellings) => tagsOfPlace.flatMap((tag) => spellings.map((text) => tag + text)));

/** The words of a query that may be mistyped. */
export function askedWords(text: string): string[] {
  return askedWordsOf(text).map(([text]) => text!);
}

/** What has every word somewhere, in whatever order; undefined for a text without words, which nothing has. */
export function anywhere(text: string): AnyOf[] | undefined {
  const words = askedWordsOf(text);
  return words.length === 0 ? undefined : wordsIn(words, anyPlace);
}

/** What has every word somewhere, as it is asked for or as it may be meant. */
export function anywhereCorrected(text: string, corrections: Corrections): AnyOf[] {
  const meant = askedWordsOf(text).map((spellings) => [...spellings, ...(corrections.get(spellings[0]!) ?? [])]);
  return wordsIn(meant, anyPlace);
}

/** What has a word in its name that begins so, for every word; undefined for a text without words. */
export function inName(text: string): AnyOf[] | undefined {
  const words = askedWordsOf(text);
  return words.length === 0 ? undefined : wordsIn(words, [word, beginning]);
}

/**
 * What has every word somewhere, the best first, in tiers that share no product: of exactly that SKU; every word in the name;
 * every word begins one of name or SKU; the rest, by its description. None for a text without words.
 */
export function tiersOf(text: string): TermQuery[] {
  const words = askedWordsOf(text);
  if (words.length === 0) return [];
  const sku = exactSku(text);
  const tiers = places.map((place, index): TermQuery => {
    const better = places[index - 1];
    // A word is told by the best of its places: of one word, that place alone needs no exclusion.
    if (isSingle(words)) return { all: wordsIn(words, place.slice(better?.length ?? 0)), none: [sku] };
    return { all: wordsIn(words, place), none: better === undefined ? [sku] : [sku, wordsIn(words, better)] };
  });
  return [{ all: sku, none: [] }, ...tiers];
}

/** What comes after these tiers: what has every word somewhere once some of them are corrected. */
export function correctedTier(text: string, corrections: Corrections): TermQuery {
  return { all: anywhereCorrected(text, corrections), none: [exactSku(text), wordsIn(askedWordsOf(text), anyPlace)] };
}

const exactSku = (text: string): AnyOf[] => [[skuTerm(wordsOf(text))]];

function isSingle(words: readonly AskedWord[]): boolean {
  return words.length === 1 && words[0]!.length === 1;
}
