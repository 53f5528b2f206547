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

test("a product's terms are its words, their prefixes, joined words, category, SKU and attributes, all folded", () => {
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
      ...["l", "le", "lev", "st", "str", "stra", "stras", "strass"].map((prefix) => `b:${prefix}`),
      ...["a", "ab", "1", "ab1"].map((part) => `s:${part}`),
      ...["wi", "fi", "wifi"].map((word) => `d:${word}`),
    ].toSorted(),
  );
});

test("each word has one term, for its best place", () => {
  const terms = termsFor({ name: "Tea Cup", sku: "TEA-CUP", description: "A cup, a tea-cup, and tea. Tea!" });
  const texts = terms.filter((term) => /^[wbsd]:/.test(term)).map((term) => term.slice(2));
  expect(new Set(texts).size).toBe(texts.length);
});

test("the number of a product's terms is bounded", () => {
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

test("a query uses its first eight words, and one without words matches nothing", () => {
  expect(anywhere("a b c d e f g h i j a")).toHaveLength(8);
  expect(anywhere("'- %")).toBeUndefined();
  expect(tiersOf("?!")).toEqual([]);
});

test("names are sorted by their folded form", () => {
  expect(["émile", "Zoe", "Øre", "  anna"].toSorted((a, b) => (nameKeyOf(a) < nameKeyOf(b) ? -1 : 1))).toEqual([
    "  anna",
    "émile",
    "Øre",
    "Zoe",
  ]);
});
