import { RE2JS } from "@bufbuild/re2";

const plain = "[A-Za-z0-9 _/@:,;~=<>!#%&'\"-]";
const inClass = String.raw`(?:[^\\[\]^]|\\x[0-9a-f]{2})`;
const item = String.raw`(?:${plain}|\[\^?${inClass}+\])`;
const fixed = String.raw`(?:\{\d{1,3}\})`;
const variable = String.raw`(?:[*+?]|\{\d{1,3},(?:\d{1,3})?\})`;

/**
 * Patterns that mean the same to RE2 and to JavaScript, and of which JavaScript's engine makes no more work than RE2: a row of
 * characters and classes from the text's beginning to its end, where one at most may come more or less often. So there is nothing
 * that two neighbours could share out between them in many ways.
 */
const linear = new RegExp(`^\\^(?:${item}${fixed}?)*(?:${item}${variable}(?:${item}${fixed}?)*)?\\$$`);

const tests = new Map<string, (text: string) => boolean>();

/**
 * Whether a text matches a pattern of the schema, in RE2's syntax and in time linear in the text. RE2 in JavaScript costs twenty
 * times what the engine's own expressions do, which is why those match what they safely can.
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
  // By code points, as RE2 reads texts.
  const expression = new RegExp(pattern, "u");
  return (text) => expression.test(text);
}

function byRe2(pattern: string): (text: string) => boolean {
  const expression = RE2JS.compile(pattern);
  return (text) => expression.test(text);
}

const part = new RegExp(`(${item})(?:\\{(\\d{1,3})(,)?(\\d{1,3})?\\}|([*+?]))?`, "y");

/**
 * The most characters that a text which matches a pattern can have: known of rows of characters and classes from the text's
 * beginning to its end, Infinity for every other pattern.
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
