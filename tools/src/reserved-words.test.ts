import { expect, test } from "vitest";
import { isReservedWord } from "./reserved-words.ts";

test.each(["delete", "class", "this", "await", "constructor", "let"])("%s is reserved", (word) => {
  expect(isReservedWord(word)).toBe(true);
});

test.each(["countProducts", "wishlist", "of"])("%s is not reserved", (word) => {
  expect(isReservedWord(word)).toBe(false);
});
