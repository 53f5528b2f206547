/** Whether a word cannot name a variable, or names a property that every object has. */
export function isReservedWord(word: string): boolean {
  if (word in {}) return true;
  try {
    // A module is strict code, in which `await` is reserved, too.
    new Function(`"use strict"; async () => { let ${word}; }`);
    return false;
  } catch {
    return true;
  }
}
