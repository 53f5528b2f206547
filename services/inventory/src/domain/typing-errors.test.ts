import fc from "fast-check";
import { expect, test } from "vitest";
import { correctableWords, deletionKeys, isOneErrorApart, mayBeMistyped } from "./typing-errors.ts";

const word = fc.string({ unit: fc.constantFrom(..."abcdé日"), minLength: 2, maxLength: 8 });

/** The four typing errors, each at an index and with a letter. */
const errors: readonly ((letters: string[], at: number, letter: string) => string[])[] = [
  (letters, at) => letters.toSpliced(at, 1),
  (letters, at, letter) => letters.toSpliced(at, 0, letter),
  (letters, at, letter) => letters.toSpliced(at, 1, letter),
  (letters, at) => letters.toSpliced(at, 2, ...letters.slice(at, at + 2).reverse()),
];

test("words that differ by an omitted, inserted, replaced or exchanged letter are one error apart and share a key", () => {
  fc.assert(
    fc.property(
      word,
      fc.nat(20),
      fc.constantFrom(..."abz"),
      fc.constantFrom(...errors),
      (right, index, letter, error) => {
        const letters = [...right];
        const typed = error(letters, index % letters.length, letter).join("");
        fc.pre(typed !== right);
        expect(isOneErrorApart(right, typed)).toBe(true);
        expect(isOneErrorApart(typed, right)).toBe(true);
        const keys = new Set(deletionKeys(right));
        expect(deletionKeys(typed).some((key) => keys.has(key))).toBe(true);
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

test("words of five letters or more are corrected, also joined ones, but not numbers or scripts without blanks", () => {
  expect([...correctableWords("Ceramic T-Shirt, 12345 SKU12345 cup ラーメンセット Καφετιέρα")]).toEqual([
    "ceramic",
    "shirt",
    "καφετιερα",
    "tshirt",
  ]);
  expect(["ketl", "kettl"].map(mayBeMistyped)).toEqual([true, true]);
  expect(["ket", "1234", "sku-1"].map(mayBeMistyped)).toEqual([false, false, false]);
});
