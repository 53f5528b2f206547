import { RE2JS } from "@bufbuild/re2";

const plain = "[A-Za-z0-9 _/@:,;~=<>!#%&'\"-]";
const inClass = String.raw`(?:[^\\[\]^]|\\x[0-9a-f]{2})`;
const item = String.raw`(?:${plain}|\[\^?${inClass}+\])`;
const fixed = String.raw`(?:\{\d{1,3}\})`;
const variable = String.raw`(?:[*+?]|\{\d{1,3},(?:\d{1,3})?\})`;

/**
 * Patterns with the same meaning in RE2 and JavaScript that JavaScript's engine also matches in linear time: an anchored
 * sequence of characters and classes of which at most one repeats a variable number of times. So the engine has no ambiguity to
 * backtrack over.
 */
const linear = new RegExp(`^\\^(?:${item}${fixed}?)*(?:${item}${variable}(?:${item}${fixed}?)*)?\\$$`);

const tests = new Map<string, (text: string) => boolean>();

/**
 * Whether a text matches a pattern of the schema, in RE2's syntax and in time linear in the text. RE2 in JavaScript costs
 * twenty times as much as the engine's own expressions, so those match the patterns for which they are safe.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  let test = tests.get(pattern);
  if (test === undefined) {
    test = linear.test(pattern) ? natively(pattern) : byRe2(pattern);
    tests.set(pattern, test);
  }
  return test(text);
}

function natively(pattern: string): (text: string) => boolean {
  // RE2 matches code points.
  const expression = new RegExp(pattern, "u");
  return (text) => expression.test(text);
}

function byRe2(pattern: string): (text: string) => boolean {
  const expression = RE2JS.compile(pattern);
  return (text) => expression.test(text);
}

const part = new RegExp(`(${item})(?:\\{(\\d{1,3})(,)?(\\d{1,3})?\\}|([*+?]))?`, "y");

/**
 * The most characters that a matching text can have; Infinity for patterns other than an anchored sequence of characters and
 * classes.
 */
export function longestMatch(pattern: string): number {
  if (!linear.test(pattern)) return Number.POSITIVE_INFINITY;
  let longest = 0;
  part.lastIndex = 1;
  for (let found = part.exec(pattern); found !== null; found = part.exec(pattern)) {
    const [, , least, comma, most, sign] = found;
    if (sign === "*" || sign === "+" || (comma !== undefined && most === undefined)) return Number.POSITIVE_INFINITY;
    longest += Number(most ?? least ?? 1);
  }
  return longest;
}
