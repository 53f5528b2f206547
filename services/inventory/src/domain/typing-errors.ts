import { joinedCompounds, wordsOf } from "./words.ts";

/** Shorter words are not corrected. */
const minLetters = 5;

/** The words of a text that are candidates for corrections. They consist of letters only, so numbers are never corrected. */
export function correctableWords(text: string): Set<string> {
  const words = wordsOf(text);
  const spaced = words.filter(({ isSpaced }) => isSpaced).map(({ text }) => text);
  return new Set([...spaced, ...joinedCompounds(words)].filter((word) => isCorrectable(word, minLetters)));
}

/** Whether a typed word may be a candidate with one typing error; it may be one letter shorter. */
export function mayBeMistyped(typed: string): boolean {
  return isCorrectable(typed, minLetters - 1);
}

function isCorrectable(word: string, letters: number): boolean {
  return /^[\p{L}\p{M}]+$/u.test(word) && [...word].length >= letters;
}

/**
 * A word, and the word without each one of its letters. Two words that are one typing error apart have one of these in common
 * (W. Garbe, SymSpell), so candidates can be found by an index.
 */
export function deletionKeys(word: string): string[] {
  const letters = [...word];
  return [...new Set([word, ...letters.map((_, index) => letters.toSpliced(index, 1).join(""))])];
}

/** Whether two words differ by one error: a letter omitted, inserted or replaced, or two adjacent ones exchanged. */
export function isOneErrorApart(one: string, other: string): boolean {
  const [shorter, longer] = [[...one], [...other]].sort((a, b) => a.length - b.length) as [string[], string[]];
  const start = longer.findIndex((letter, index) => letter !== shorter[index]);
  if (start === -1) return false;
  const rest = (letters: readonly string[], from: number) => letters.slice(from).join("");
  if (longer.length === shorter.length + 1) return rest(longer, start + 1) === rest(shorter, start);
  if (longer.length !== shorter.length) return false;
  const isExchanged = longer[start] === shorter[start + 1] && longer[start + 1] === shorter[start];
  return (
    rest(longer, start + 1) === rest(shorter, start + 1) ||
    (isExchanged && rest(longer, start + 2) === rest(shorter, start + 2))
  );
}
