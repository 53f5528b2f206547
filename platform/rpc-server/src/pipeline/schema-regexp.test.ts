import { RE2JS } from "@bufbuild/re2";
import fc from "fast-check";
import { expect, test } from "vitest";
import { longestMatch, matchesPattern } from "./schema-regexp.ts";

/** Patterns of the schema, and others. */
const patterns = [
  "^[1-9][0-9]{0,14}$",
  "^[A-Z]{3}$",
  "^product_[0-7][0-9a-hjkmnp-tv-z]{25}$",
  "^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$",
  "^[\\x21-\\x7e]{0,128}$",
  "^[^\\x00]*$",
  "^[^\\x00-\\x1f\\x7f]*$",
  "^[^\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
  "^[A-Za-z0-9._-]{3,64}$",
  "^https?://[A-Za-z0-9.:\\[\\]-]+([/?#][!#-;=?-\\[\\]_a-z~]*)?$",
  "^[a-z][a-z0-9_]{0,39}:[^\\x00-\\x1f\\x7f]+$",
  "^a{2,3}$",
  "^[^a-c]?$",
  "^-[+.]*-{2}$",
  "^[\\x00-\\x1f]+$",
  "^a.c$",
  "^(a|b)*$",
  "a|b",
  "^\\d+$",
  "^[[:alpha:]]$",
];

test.for(patterns)("%s matches the same texts as in RE2", (pattern) => {
  const re2 = RE2JS.compile(pattern);
  const near = fc.stringMatching(new RegExp(pattern.replaceAll("[[:alpha:]]", "[a-zA-Z]")));
  const change = fc.tuple(near, fc.nat(), fc.string({ unit: "binary", maxLength: 3 }));
  const broken = change.map(([text, at, put]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + put + text.slice(place + (at % 2));
  });
  const texts = fc.oneof(
    near,
    broken,
    broken.map((text) => `${text}\n`),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(
      texts.filter((text) => text.isWellFormed()),
      (text) => {
        expect(matchesPattern(pattern, text)).toBe(re2.test(text));
      },
    ),
  );
});

test.for([
  "^(a+)+$",
  "^[a-z]*[a-z]*[a-z]*[a-z]*$",
  "^a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}$",
  "^[a-z]{1,}[a-m]+$",
])("%s, on which engines backtrack exponentially, is fast on a long text", (pattern) => {
  expect(matchesPattern(pattern, `${"a".repeat(100_000)}!`)).toBe(false);
});

test.each([
  ["^user_[0-7][0-9a-hjkmnp-tv-z]{25}$", 31],
  ["^[A-Za-z0-9._-]{3,64}$", 64],
  ["^[a-z][a-z0-9_]{0,39}$", 40],
  ["^[A-Z]?$", 1],
  ["^[^\\x00]*$", Number.POSITIVE_INFINITY],
  ["^[a-z]{3,}$", Number.POSITIVE_INFINITY],
  ["\\S", Number.POSITIVE_INFINITY],
])("the longest text that matches %s has %d characters", (pattern, longest) => {
  expect(longestMatch(pattern)).toBe(longest);
});
