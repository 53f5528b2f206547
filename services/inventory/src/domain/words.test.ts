import { expect, test } from "vitest";
import { joinedCompounds, joinedPairs, wordsOf } from "./words.ts";

const textsOf = (text: string) => wordsOf(text).map((word) => word.text);

test("words are delimited by blanks and punctuation, including apostrophes of every kind", () => {
  for (const apostrophe of ["'", "’", "‘", "`", "´", "ʼ", "ʻ", "＇", "′", "ʹ"])
    expect(textsOf(`Levi${apostrophe}s jeans`), apostrophe).toEqual(["levi", "s", "jeans"]);
  expect(textsOf("T-Shirt/Wi‑Fi—3.5mm_R&B")).toEqual(["t", "shirt", "wi", "fi", "3", "5mm", "r", "b"]);
  expect(textsOf("Ear\u200bphones ke\u00adttle\u2060s")).toEqual(["earphones", "kettles"]);
});

test("words that punctuation separates are joined, and so are adjacent words", () => {
  expect(joinedCompounds(wordsOf("Levi's U.S.A. tea cup"))).toEqual(["levis", "usa"]);
  expect(joinedPairs(wordsOf("a-b c"))).toEqual(["ab", "bc"]);
});

test("scripts without blanks are split into pairs of characters, and other scripts among them into words", () => {
  expect(textsOf("日本茶")).toEqual(["日本", "本茶"]);
  expect(wordsOf("日本茶", { tails: true }).map(({ text }) => text)).toEqual(["日本", "本茶", "茶"]);
  expect(textsOf("茶")).toEqual(["茶"]);
  expect(textsOf("用iPhone15壳")).toEqual(["用", "iphone15", "壳"]);
  expect(textsOf("ラーメン")).toEqual(["らー", "ーめ", "めん"]);
  expect(textsOf("กาแฟ")).toEqual(["กา", "าแ", "แฟ"]);
  expect(joinedPairs(wordsOf("用iPhone15壳"))).toEqual([]);
  expect(textsOf("한국어 사전")).toEqual(["한국어", "사전"]);
});
