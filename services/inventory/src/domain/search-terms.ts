import type { ProductDetails } from "./product.ts";

/** Why a product has a term: its tag tells. */
const tags = {
  category: "c:",
  attribute: "a:",
  /** The whole SKU. */
  sku: "k:",
  /** A word of the name. */
  word: "w:",
  /** Begins a word of the name, and is none. */
  beginning: "b:",
  /** Is or begins a part of the SKU, and is neither of the above. */
  skuPart: "s:",
  /** A word of the description, and none of the above. */
  told: "d:",
} as const;

/** What every product that can be found has, so that whatever is asked for is asked for by a term. */
export const everyProduct = "*";

/** Letters that words are cut to, and words of a description and of a query that count. */
const maxLetters = 40;
const maxToldWords = 256;
const maxQueryWords = 8;

/** Terms of which a product has to have one. */
export type AnyOf = readonly string[];

/** What a product has to have, a term out of each list, and what it must not have, all of such a list. */
export interface TermQuery {
  readonly all: readonly AnyOf[];
  readonly none: readonly (readonly AnyOf[])[];
}

/** Text as it is compared and sorted: without case, accents and the variants of letters (NFKC). */
function fold(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .normalize("NFD")
    .replaceAll(/[\u0300-\u036f]/g, "")
    .normalize("NFC");
}

/** Words: what stands between other things than letters, marks and digits. */
function wordsOf(text: string): string[] {
  const words = fold(text).match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.map((word) => cut(word, maxLetters));
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : [...text].slice(0, letters).join("");
}

function beginningsOf(word: string): string[] {
  const letters = [...word];
  return letters.map((_, index) => letters.slice(0, index + 1).join(""));
}

/**
 * What a product is found by. A word is told by the best of its places alone, so that a search for one word is a list of
 * disjoint terms. Their number is bounded by the lengths of name and SKU, and by 256 words of the description.
 */
export function termsOf({ name, description, category, sku = "", attributes }: ProductDetails): string[] {
  const words = new Set(wordsOf(name));
  const beginnings = new Set([...words].flatMap(beginningsOf)).difference(words);
  const parts = new Set(wordsOf(sku).flatMap(beginningsOf)).difference(words).difference(beginnings);
  const told = new Set(wordsOf(description).slice(0, maxToldWords))
    .difference(words)
    .difference(beginnings)
    .difference(parts);
  const tagged = (tag: string, of: Iterable<string>) => Array.from(of, (text) => tag + text);
  return [
    everyProduct,
    categoryTerm(category),
    ...Object.entries(attributes).map(([key, value]) => attributeTerm(`${key}:${value}`)),
    ...(sku === "" ? [] : [skuTerm(wordsOf(sku))]),
    ...tagged(tags.word, words),
    ...tagged(tags.beginning, beginnings),
    ...tagged(tags.skuPart, parts),
    ...tagged(tags.told, told),
  ];
}

export const categoryTerm = (category: string) => tags.category + category;
/** Of an attribute, written as `key:value`. */
export const attributeTerm = (attribute: string) => tags.attribute + attribute;
const skuTerm = (words: readonly string[]) => tags.sku + words.join(" ");

/** A name by which products are sorted. */
export function nameKeyOf(name: string): string {
  return cut(fold(name).trim(), 100);
}

const { word, beginning, skuPart, told } = tags;
/** Where a word of a query may be, from the best place to any. */
const places = [[word], [word, beginning, skuPart], [word, beginning, skuPart, told]] as const;
const anyPlace = places.at(-1)!;

const wordsIn = (words: readonly string[], tagsOfPlace: readonly string[]): AnyOf[] =>
  words.map((text) => tagsOfPlace.map((tag) => tag + text));

const distinctWords = (text: string) => [...new Set(wordsOf(text))].slice(0, maxQueryWords);

/** What has every word somewhere, in whatever order; undefined for a text without words, which nothing has. */
export function anywhere(text: string): AnyOf[] | undefined {
  const words = distinctWords(text);
  return words.length === 0 ? undefined : wordsIn(words, anyPlace);
}

/** What has a word in its name that begins so, for every word; undefined for a text without words. */
export function inName(text: string): AnyOf[] | undefined {
  const words = distinctWords(text);
  return words.length === 0 ? undefined : wordsIn(words, [word, beginning]);
}

/**
 * What has every word somewhere, the best first, in tiers that share no product: of exactly that SKU; every word in the name;
 * every word begins one of name or SKU; the rest, by its description. None for a text without words.
 */
export function tiersOf(text: string): TermQuery[] {
  const words = distinctWords(text);
  if (words.length === 0) return [];
  const sku: AnyOf[] = [[skuTerm(wordsOf(text))]];
  const tiers = places.map((place, index): TermQuery => {
    const better = places[index - 1];
    // A word is told by the best of its places: of one word, that place alone needs no exclusion.
    if (words.length === 1) return { all: wordsIn(words, place.slice(better?.length ?? 0)), none: [sku] };
    return { all: wordsIn(words, place), none: better === undefined ? [sku] : [sku, wordsIn(words, better)] };
  });
  return [{ all: sku, none: [] }, ...tiers];
}
