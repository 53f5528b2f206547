import fc from "fast-check";
import { expect, test } from "vitest";
import { correctableWords, isOneErrorApart, mayBeMistyped, neighbourKeys } from "./typing-errors.ts";

const word = fc.string({ unit: fc.constantFrom(..."abcdé日"), minLength: 2, maxLength: 8 });

/** What one error makes of a word, at a place and with a letter. */
const errors: readonly ((letters: string[], at: number, letter: string) => string[])[] = [
  (letters, at) => letters.toSpliced(at, 1),
  (letters, at, letter) => letters.toSpliced(at, 0, letter),
  (letters, at, letter) => letters.toSpliced(at, 1, letter),
  (letters, at) => letters.toSpliced(at, 2, ...letters.slice(at, at + 2).reverse()),
];

test("a word with a letter left out, put in, replaced, or two exchanged is one error away, and shares a key with it", () => {
  fc.assert(
    fc.property(
      word,
      fc.nat(20),
      fc.constantFrom(..."abz"),
      fc.constantFrom(...errors),
      (right, place, letter, error) => {
        const letters = [...right];
        const typed = error(letters, place % letters.length, letter).join("");
        fc.pre(typed !== right);
        expect(isOneErrorApart(right, typed)).toBe(true);
        expect(isOneErrorApart(typed, right)).toBe(true);
        const keys = new Set(neighbourKeys(right));
        expect(neighbourKeys(typed).some((key) => keys.has(key))).toBe(true);
      },
    ),
    { numRuns: 2_000 },
  );
});

test.each([
  ["kettle", "kettle"],
  ["kettle", "kett"],
  ["kettle", "kattel"],
  ["abcd", "badc"],
  ["abc", "cab"],
  ["", "ab"],
])("what is equal, or two errors away, is not one error away: %s, %s", (one, other) => {
  expect(isOneErrorApart(one, other)).toBe(false);
  expect(isOneErrorApart(other, one)).toBe(false);
});

test("words of five letters or more are corrected, joined ones too; numbers and scripts without blanks are not", () => {
  expect([...correctableWords("Ceramic T-Shirt, 12345 SKU12345 cup ラーメンセット Καφετιέρα")]).toEqual([
    "ceramic",
    "shirt",
    "καφετιερα",
    "tshirt",
  ]);
  expect(["ketl", "kettl"].map(mayBeMistyped)).toEqual([true, true]);
  expect(["ket", "1234", "sku-1"].map(mayBeMistyped)).toEqual([false, false, false]);
});
