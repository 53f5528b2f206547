import { joinedCompounds, wordsOf } from "./words.ts";

/** Letters of a word in which a typing error is corrected, at least. */
const minLetters = 5;

/** The words of a text in which a typing error can be corrected: letters alone, so that numbers stay what they are. */
export function correctableWords(text: string): Set<string> {
  const words = wordsOf(text);
  const spaced = words.filter(({ isSpaced }) => isSpaced).map(({ text }) => text);
  return new Set([...spaced, ...joinedCompounds(words)].filter((word) => isCorrectable(word, minLetters)));
}

/** Whether a word that was typed may be one of these with a letter too few or too many, a wrong one or two in the wrong order. */
export function mayBeMistyped(typed: string): boolean {
  return isCorrectable(typed, minLetters - 1);
}

function isCorrectable(word: string, letters: number): boolean {
  return /^[\p{L}\p{M}]+$/u.test(word) && [...word].length >= letters;
}

/**
 * A word, and all that is left of it without one of its letters. Two words that one typing error makes of each other have one of
 * these in common (W. Garbe, SymSpell), which an index can be asked for.
 */
export function neighbourKeys(word: string): string[] {
  const letters = [...word];
  return [...new Set([word, ...letters.map((_, index) => letters.toSpliced(index, 1).join(""))])];
}

/** Whether one error leads from one word to another: a letter left out, put in, replaced, or two neighbours exchanged. */
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
