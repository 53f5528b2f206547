import fc from "fast-check";
import { expect, test } from "vitest";
import { foldText } from "./fold-text.ts";

const everyCharacter = function* () {
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    const character = String.fromCodePoint(codePoint);
    if (!/[\p{Cs}\p{Co}\p{Cn}]/u.test(character)) yield character;
  }
};

const equal: Readonly<Record<string, readonly string[]>> = {
  "German, and its capital sharp s": ["Straße", "STRASSE", "strasse", "STRAẞE", "ſtraſſe"],
  "a sigma at the end": ["Οδυσσέας", "ΟΔΥΣΣΕΑΣ", "οδυσσεασ", "ὈΔΥΣΣΈΑΣ", "Ὀδυσσέας"],
  "Greek with an iota below": ["ᾠδή", "ᾨΔΉ", "ΩΙΔΗ", "ωιδη"],
  Polish: ["Łódź", "łódź", "LODZ", "lodz"],
  Danish: ["Smørrebrød", "SMØRREBRØD", "smorrebrod"],
  Icelandic: ["Þórður", "ÞÓRÐUR", "thordur"],
  French: ["Œuvre Ægée", "ŒUVRE ÆGÉE", "oeuvre aegee"],
  Vietnamese: ["Màu Đỏ", "MÀU ĐỎ", "mau do"],
  Turkish: ["İSTANBUL", "istanbul", "ISTANBUL", "ıstanbul", "İstanbul"],
  Maltese: ["Ħobż", "hobz"],
  Azerbaijani: ["Şəhər", "ŞƏHƏR", "seher"],
  Russian: ["Чёрный чай", "ЧЕРНЫЙ ЧАИ", "черный чай"],
  Ukrainian: ["ґанок", "ганок"],
  Kazakh: ["Қазақ", "КАЗАК"],
  "Arabic with and without marks": ["كِتَابٌ", "كتاب", "كـــتاب", "ﻛﺘﺎﺏ"],
  "Arabic, its hamzas": ["أحمد", "احمد"],
  "Persian and Arabic keyboards": ["کتابی", "كتابي"],
  "Hebrew with and without points": ["שָׁלוֹם", "שלום", "שׁלום"],
  "Hindi with and without nukta": ["बाज़ार", "बाजार", "बाज\u093cार"],
  "full and half width": ["Ｆｕｌｌ", "full"],
  "half width katakana, katakana, hiragana": ["ｶﾞﾗｽ", "ガラス", "がらす"],
  "a ligature": ["ﬁlter", "filter"],
  "digits of other scripts": ["١٢٣", "۱۲۳", "१२३", "１２３", "123"],
  "a superscript": ["m²", "m2"],
  Korean: ["한국", "한국".normalize("NFD")],
  "a trade mark": ["Kettle™ ", "kettle"],
  blanks: [" Tea\u00a0\u2003 pot\t", "tea pot"],
  "invisible characters": [
    "Ke\u200bt\u200dt\u00adle\ufeff\u2060",
    "kettle",
    "\u202ekettle\u2066",
    "kettle\ufe0f",
    "k\u034fettle",
  ],
};

test.each(Object.entries(equal))("texts that differ only in case and form fold to the same: %s", (_, texts) => {
  expect(new Set(texts.map(foldText)).size, JSON.stringify(texts.map(foldText))).toBe(1);
  expect(new Set(texts.map((text) => foldText(text.normalize("NFD")))).size).toBe(1);
});

test.each([
  ["とけい", "どけい"],
  ["はん", "ぱん"],
  ["कि", "की"],
  ["कि", "क"],
  ["ป่า", "ป้า"],
  ["มา", "มี"],
  ["тих", "тик"],
  ["a b", "ab"],
])("letters that a mark makes another letter stay different: %s, %s", (one, other) => {
  expect(foldText(one)).not.toBe(foldText(other));
});

test("capitals and small letters of all of Unicode fold alike, and folding is idempotent for each", () => {
  const differing: string[] = [];
  for (const character of everyCharacter()) {
    const folded = foldText(`a${character}b`);
    const forms = [character.toUpperCase(), character.toLowerCase(), character.normalize("NFD")].map(
      (form) => `a${form}b`,
    );
    if ([...forms, folded].some((form) => foldText(form) !== folded)) differing.push(character);
  }
  expect(differing).toEqual([]);
}, 120_000);

test("letters that collation treats as accented ASCII fold to ASCII", () => {
  const base = new Intl.Collator("und", { sensitivity: "base" });
  const isAccented = (character: string) =>
    /\p{sc=Latin}/u.test(character) &&
    [..."abcdefghijklmnopqrstuvwxyz"].some((letter) => base.compare(letter, character) === 0);
  const differing = [...everyCharacter()].filter(
    (character) => isAccented(character) && !/^[a-z·]+$/.test(foldText(character)),
  );
  expect(differing).toEqual([]);
}, 60_000);

test("folding is idempotent, and canonically equivalent texts fold to the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
      const folded = foldText(text);
      expect(foldText(folded)).toBe(folded);
      expect(foldText(text.normalize("NFD"))).toBe(folded);
      expect(foldText(text.normalize("NFC"))).toBe(folded);
    }),
    { numRuns: 5_000 },
  );
}, 60_000);
