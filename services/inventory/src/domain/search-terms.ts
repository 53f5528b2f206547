import { foldText } from "./fold-text.ts";
import type { ProductDetails } from "./product.ts";
import { cut, joinedCompounds, joinedPairs, type Word, wordsOf } from "./words.ts";

/** The prefixes of terms, by the part of the product that a term comes from. Stored. */
const tags = {
  category: "c:",
  attribute: "a:",
  /** The whole SKU. */
  sku: "k:",
  /** A word of the name, or two of its words written as one. */
  word: "w:",
  /** A prefix of a word of the name that is not a word of the name itself. */
  prefix: "b:",
  /** A prefix of a part of the SKU, or a whole part, that is none of the above. */
  skuPart: "s:",
  /** A word of the description that is none of the above. */
  description: "d:",
} as const;

/**
 * A term of every product that can be found, so that a query without other terms has one, too. It is also the version of the terms: a
 * change of how terms are computed needs a new value here, and the old one in {@link earlierMarks}.
 */
export const everyProduct = "*1";
/** Values of {@link everyProduct} in earlier releases, whose products are indexed again. */
export const earlierMarks: readonly string[] = ["*"];

/** The first words of a description and of a query; further ones are ignored. */
const maxDescriptionWords = 256;
const maxQueryWords = 8;

/** A product has to have at least one of these terms. */
export type AnyOf = readonly string[];

export interface TermQuery {
  /** A product has to match each of these. */
  readonly all: readonly AnyOf[];
  /** A product must not match all of any of these lists. */
  readonly none: readonly (readonly AnyOf[])[];
}

/** By a word of a query, the words that it may be a typing error of. */
export type Corrections = ReadonlyMap<string, readonly string[]>;

function prefixesOf(word: string): string[] {
  const letters = [...word];
  return letters.map((_, index) => letters.slice(0, index + 1).join(""));
}

/** Words of a description, those that punctuation separates also as one. A single letter that punctuation cuts off gets no term. */
function descriptionWordsOf(description: string): Set<string> {
  const words = wordsOf(description, { tails: true });
  const sizes = Map.groupBy(words, ({ compound }) => compound);
  const isCutOff = ({ text, isSpaced, compound }: Word) =>
    isSpaced && text.length === 1 && sizes.get(compound)!.length > 1;
  const alone = words.filter((word) => !isCutOff(word)).map(({ text }) => text);
  return new Set([...alone.slice(0, maxDescriptionWords), ...joinedCompounds(words)].slice(0, maxDescriptionWords));
}

/**
 * The terms by which a product is found. A word gets a term only for the best place in which it occurs, so the terms of one word are
 * disjoint. Their number is bounded by the lengths of name and SKU, and by 256 words of the description.
 */
export function termsOf({ name, description, category, sku = "", attributes }: ProductDetails): string[] {
  const named = wordsOf(name, { tails: true });
  const compounds = joinedCompounds(named);
  const texts = named.map(({ text }) => text);
  const words = new Set([...texts, ...compounds, ...joinedPairs(named)]);
  const prefixes = new Set([...texts, ...compounds].flatMap(prefixesOf)).difference(words);
  const skuWords = wordsOf(sku);
  const parts = new Set([...skuWords.map(({ text }) => text), ...joinedCompounds(skuWords)].flatMap(prefixesOf))
    .difference(words)
    .difference(prefixes);
  const described = descriptionWordsOf(description).difference(words).difference(prefixes).difference(parts);
  const tagged = (tag: string, of: Iterable<string>) => Array.from(of, (text) => tag + text);
  return [
    everyProduct,
    categoryTerm(category),
    ...new Set(Object.entries(attributes).map(([key, value]) => attributeTerm(`${key}:${value}`))),
    ...(sku === "" ? [] : [skuTerm(skuWords)]),
    ...tagged(tags.word, words),
    ...tagged(tags.prefix, prefixes),
    ...tagged(tags.skuPart, parts),
    ...tagged(tags.description, described),
  ];
}

export const categoryTerm = (category: string) => tags.category + foldText(category);
/** @param attribute `key:value` */
export const attributeTerm = (attribute: string) => tags.attribute + foldText(attribute);
const skuTerm = (words: readonly Word[]) => tags.sku + words.map(({ text }) => text).join("");

/** The sort key of a name. */
export function nameKeyOf(name: string): string {
  return cut(foldText(name), 100);
}

const { word, prefix, skuPart, description } = tags;
/** The places in which a word of a query is looked for, one list for each tier of relevance. */
const places = [[word], [word, prefix, skuPart], [word, prefix, skuPart, description]] as const;
const anyPlace = places.at(-1)!;

/** The spellings of a word of a query: alone first, then joined with the words beside it. */
type QueryWord = readonly string[];

function queryWordsOf(text: string): QueryWord[] {
  const words = wordsOf(text);
  const compounds = Map.groupBy(words, ({ compound }) => compound);
  const spelled = words.map((word, index) => [
    word.text,
    ...joinedPairs(words.slice(Math.max(0, index - 1), index + 2)),
    ...joinedCompounds(compounds.get(word.compound)!),
  ]);
  const distinct = new Map(spelled.map((spellings) => [spellings[0]!, [...new Set(spellings)]]));
  return [...distinct.values()].slice(0, maxQueryWords);
}

const wordsIn = (words: readonly QueryWord[], tagsOfPlace: readonly string[]): AnyOf[] =>
  words.map((spellings) => tagsOfPlace.flatMap((tag) => spellings.map((text) => tag + text)));

/** The words of a query, each in its first spelling. */
export function queryWords(text: string): string[] {
  return queryWordsOf(text).map(([text]) => text!);
}

/** Matches products that have every word in any place; undefined for a text without words, which matches nothing. */
export function anywhere(text: string): AnyOf[] | undefined {
  const words = queryWordsOf(text);
  return words.length === 0 ? undefined : wordsIn(words, anyPlace);
}

/** Matches products that have every word, or one of its corrections, in any place. */
export function anywhereCorrected(text: string, corrections: Corrections): AnyOf[] {
  const meant = queryWordsOf(text).map((spellings) => [...spellings, ...(corrections.get(spellings[0]!) ?? [])]);
  return wordsIn(meant, anyPlace);
}

/** Matches products whose name has, for every word, a word that begins with it; undefined for a text without words. */
export function inName(text: string): AnyOf[] | undefined {
  const words = queryWordsOf(text);
  return words.length === 0 ? undefined : wordsIn(words, [word, prefix]);
}

/**
 * Splits the matches of a query into disjoint tiers, the most relevant first: the SKU is the query; every word is in the name; every word
 * begins a word of name or SKU; every word is in some place. Empty for a text without words.
 */
export function tiersOf(text: string): TermQuery[] {
  const words = queryWordsOf(text);
  if (words.length === 0) return [];
  const sku = exactSku(text);
  const tiers = places.map((place, index): TermQuery => {
    const better = places[index - 1];
    // A single word has a term for its best place only, so the terms of this tier's own places exclude the better tiers.
    if (isSingle(words)) return { all: wordsIn(words, place.slice(better?.length ?? 0)), none: [sku] };
    return { all: wordsIn(words, place), none: better === undefined ? [sku] : [sku, wordsIn(words, better)] };
  });
  return [{ all: sku, none: [] }, ...tiers];
}

/** The tier after those of {@link tiersOf}: products that match only with corrections. */
export function correctedTier(text: string, corrections: Corrections): TermQuery {
  return { all: anywhereCorrected(text, corrections), none: [exactSku(text), wordsIn(queryWordsOf(text), anyPlace)] };
}

const exactSku = (text: string): AnyOf[] => [[skuTerm(wordsOf(text))]];

function isSingle(words: readonly QueryWord[]): boolean {
  return words.length === 1 && words[0]!.length === 1;
}
