import { expect, test } from "vitest";
import type { ProductDetails } from "./product.ts";
import { anywhere, nameKeyOf, termsOf, tiersOf } from "./search-terms.ts";

const plain: ProductDetails = {
  name: "Thing",
  description: "",
  category: "Things",
  price: { currencyCode: "EUR", minorUnits: 100n },
  sku: undefined,
  imageUrl: "",
  attributes: {},
  state: "active",
};

const termsFor = (details: Partial<ProductDetails>) => termsOf({ ...plain, ...details });

test("a product's terms are its words, their beginnings, words written as one, category, SKU and attributes, all folded", () => {
  const terms = termsFor({
    name: "Levi's Straße",
    category: "Été",
    sku: "AB-1",
    attributes: { color: "RØD" },
    description: "Wi-Fi",
  });
  expect(terms.toSorted()).toEqual(
    [
      "*1",
      "c:ete",
      "a:color:rod",
      "k:ab1",
      ...["levi", "s", "strasse", "levis", "sstrasse"].map((word) => `w:${word}`),
      ...["l", "le", "lev", "st", "str", "stra", "stras", "strass"].map((beginning) => `b:${beginning}`),
      ...["a", "ab", "1", "ab1"].map((part) => `s:${part}`),
      ...["wi", "fi", "wifi"].map((word) => `d:${word}`),
    ].toSorted(),
  );
});

test("each word is told once, by the best of its places", () => {
  const terms = termsFor({ name: "Tea Cup", sku: "TEA-CUP", description: "A cup, a tea-cup, and tea. Tea!" });
  const texts = terms.filter((term) => /^[wbsd]:/.test(term)).map((term) => term.slice(2));
  expect(new Set(texts).size).toBe(texts.length);
});

test("the longest product has a bounded number of terms", () => {
  const characters = (length: number) =>
    Array.from({ length }, (_, index) => String.fromCodePoint(0x4e00 + index)).join("");
  const long = (length: number) =>
    Array.from({ length }, (_, index) => index.toString(36))
      .join("-")
      .slice(0, length);
  for (const text of [characters, long]) {
    const terms = termsFor({ name: text(200), description: text(5_000), sku: long(64) });
    expect(new Set(terms).size).toBe(terms.length);
    expect(terms.length).toBeLessThan(1_000);
    expect(Math.max(...terms.map((term) => term.length))).toBeLessThan(260);
  }
});

test("a query asks for eight words at most, and one without words for nothing", () => {
  expect(anywhere("a b c d e f g h i j a")).toHaveLength(8);
  expect(anywhere("'- %")).toBeUndefined();
  expect(tiersOf("?!")).toEqual([]);
});

test("names are sorted by what is read of them", () => {
  expect(["émile", "Zoe", "Øre", "  anna"].toSorted((a, b) => (nameKeyOf(a) < nameKeyOf(b) ? -1 : 1))).toEqual([
    "  anna",
    "émile",
    "Øre",
    "Zoe",
  ]);
});
