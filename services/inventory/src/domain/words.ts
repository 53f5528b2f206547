import { foldText } from "./fold-text.ts";

/** A folded word of a text, or two adjacent characters of a script without blanks between words. */
export interface Word {
  readonly text: string;
  /** It is delimited by blanks or punctuation, so it may also be written joined with the words beside it. */
  readonly isSpaced: boolean;
  /** The index of its run of characters without a blank. */
  readonly compound: number;
}

/** Words are cut to this length. */
const maxLetters = 24;

/** Letters, marks and digits; modifier letters that stand for an apostrophe are punctuation. */
const letter = "[[\\p{L}\\p{M}\\p{N}]--[\\u02b9-\\u02bf\\u02c8\\u02ee\\ua78b\\ua78c]]";
const parts = new RegExp(`${letter}+`, "gv");
/** Scripts without blanks between words, including the prolonged sound mark. */
const unspaced =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}\u30fc\u3099\u309a]+/gv;
const segments = new RegExp(`${unspaced.source}|(?:(?!${unspaced.source}).)+`, "gsv");

/**
 * The words of a text in their sequence. Chinese, Japanese, Thai, Lao, Khmer and Burmese are split into overlapping pairs of characters,
 * so that a part in the middle is found; with `tails`, the last character is a word, too.
 */
export function wordsOf(text: string, { tails = false } = {}): Word[] {
  return foldText(text)
    .split(" ")
    .flatMap((run, compound) =>
      (run.match(parts) ?? [])
        .flatMap((part) => part.match(segments) ?? [])
        .flatMap((segment) => {
          const isSpaced = segment.search(unspaced) === -1;
          const texts = isSpaced ? [cut(segment, maxLetters)] : pairsOf(segment, tails);
          return texts.map((text) => ({ text, isSpaced, compound }));
        }),
    );
}

function pairsOf(run: string, tails: boolean): string[] {
  const characters = run.match(/\P{M}\p{M}*|\p{M}+/gu) ?? [];
  if (characters.length === 1) return characters;
  const pairs = characters.slice(1).map((character, index) => characters[index]! + character);
  return tails ? [...pairs, characters.at(-1)!] : pairs;
}

/** Adjacent words written as one: `tshirt` for "t shirt" and "t-shirt". */
export function joinedPairs(words: readonly Word[]): string[] {
  return words.slice(1).flatMap((word, index) => joined([words[index]!, word]));
}

/** Words that only punctuation separates, written as one: `levis` for "Levi's", `acdc` for "AC/DC". */
export function joinedCompounds(words: readonly Word[]): string[] {
  return [...Map.groupBy(words, ({ compound }) => compound).values()].flatMap(joined);
}

function joined(words: readonly Word[]): string[] {
  const isOne = words.length > 1 && words.every(({ isSpaced }) => isSpaced);
  return isOne ? [cut(words.map(({ text }) => text).join(""), maxLetters)] : [];
}

/** The first `letters` code points of a text. */
export function cut(text: string, letters: number): string {
  return text.length <= letters ? text : [...text].slice(0, letters).join("");
}
