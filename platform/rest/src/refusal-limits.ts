/** The most violations in an answer; more would only make it longer. */
export const maxViolations = 20;

/** The largest error answer in bytes, including trailers, in every protocol. */
export const maxErrorBytes = 16 * 1024;

/** Checks the messages of a method before they are decoded. */
export interface MessageCheck {
  /** The reason to refuse a message; undefined to decode it. */
  problem(message: Uint8Array, isBinary: boolean): string | undefined;
}

/** The most characters (code points) of a caller's text that an answer quotes. */
export const maxQuotedCharacters = 200;

/** The first `max` characters (code points) of a text, and "..." in place of the rest. */
export function cutText(text: string, max: number = maxQuotedCharacters): string {
  // A character is one or two UTF-16 units, so a text this short needs no counting.
  if (text.length <= max) return text;
  let end = 0;
  for (let count = 0; count < max && end < text.length; count++) end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  return end < text.length ? `${text.slice(0, end)}...` : text;
}
