/** Violations that an answer names at most: more would only make it longer. */
export const maxViolations = 20;

/** Bytes of an answer that tells an error, its trailers included, in every protocol. */
export const maxErrorBytes = 16 * 1024;

/** How the messages of a method are looked at before they are decoded. */
export interface MessageCheck {
  /** Why bytes are not decoded; undefined when they may be. */
  problem(message: Uint8Array, isBinary: boolean): string | undefined;
}

/** Characters (code points) of a caller's text that an answer repeats at most. */
export const maxQuotedCharacters = 200;

/** The first `max` characters (code points) of a text, and "..." in place of the rest. */
export function cutText(text: string, max: number = maxQuotedCharacters): string {
  // A character is one or two units: what is this short needs no counting.
  if (text.length <= max) return text;
  let end = 0;
  for (let count = 0; count < max && end < text.length; count++) end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  return end < text.length ? `${text.slice(0, end)}...` : text;
}
