import fc from "fast-check";
import { expect, test } from "vitest";
import { cutText } from "./refusal-limits.ts";

test("a text of 200 characters is unchanged, a longer one is cut after them", () => {
  expect(cutText("a".repeat(200))).toBe("a".repeat(200));
  expect(cutText("a".repeat(201))).toBe(`${"a".repeat(200)}...`);
});

test("no character is split in any text", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "é", "€", "😀", "\ud83d", "\ude00"), maxLength: 30 }),
      fc.nat(20),
      (text, max) => {
        const characters = [...text];
        expect(cutText(text, max)).toBe(characters.length <= max ? text : `${characters.slice(0, max).join("")}...`);
      },
    ),
  );
});
