/** By base letter, letters that Unicode does not decompose: those with a stroke, hook, tail or descender, and ligatures. */
const variants: Readonly<Record<string, string>> = {
  a: "ᶏⱥꞛꟁ",
  b: "ƀƃɓᵬᶀꞗ",
  c: "ƈȼɕꞓꞔ",
  d: "đðƌȡɖɗᵭᶁᶑꝺꟈ",
  e: "əɛɇᶒⱸꬴ",
  f: "ƒᵮᶂꝼꞙ",
  g: "ɡǥɠᵹᶃꞡ",
  h: "ħɦⱨꞕ",
  i: "ıɨᶖ",
  j: "ȷɉʝ",
  k: "ĸƙᶄⱪꝁꝃꝅꞣ",
  l: "łƚȴɫɬɭᶅⱡꝉꞎꬷꬸꬹ",
  m: "ɱᵯᶆꬺ",
  n: "ŋƞȵɲɳᵰᶇꞑꞥꬻ",
  o: "øɔɵⱺꝋꝍꞝ",
  p: "ƥᵱᵽᶈꝑꝓꝕ",
  q: "ɋʠꝗꝙ",
  r: "ɍɼɽɾᵲᵳᶉꝛꞃꞧꭉ",
  s: "ȿʂᵴᶊꞅꞩꟊꟙ",
  t: "ŧƫƭȶʈᵵⱦꞇ",
  u: "ʉᶙꞟꞹꭎꭒ",
  v: "ʋᶌⱱⱴꝟ",
  w: "ⱳꟃ",
  x: "ᶍꭖꭗꭘꭙ",
  y: "ƴɏỿꭚ",
  z: "ƶȥɀʐʑᵶᶎⱬ",
  ae: "æ",
  oe: "œ",
  th: "þ",
  // Greek: a sigma at the end of a word.
  σ: "ς",
  // Cyrillic.
  г: "ґғҕӷӻ",
  ж: "җ",
  з: "ҙ",
  к: "қҝҟӄ",
  л: "ӆԓԡԯ",
  м: "ӎ",
  н: "ңӈӊԣԩ",
  о: "ө",
  п: "ҧԥ",
  р: "ҏ",
  с: "ҫ",
  т: "ҭꚋ",
  у: "үұ",
  х: "ҳӽӿ",
  ч: "ҷҹ",
  ы: "ꙑ",
  ае: "ӕ",
  нг: "ҥ",
  тц: "ҵ",
  // Hebrew, as Yiddish writes it.
  וו: "װ",
  וי: "ױ",
  יי: "ײ",
  // Arabic: letters that keyboards for Arabic, Persian and Urdu encode differently.
  ا: "ٱ",
  ي: "یىے",
  ك: "ک",
  ه: "ةھہە",
};

const letterOf = new Map(Object.entries(variants).flatMap(([to, from]) => [...from].map((letter) => [letter, to])));
const anyVariant = new RegExp(`[${[...letterOf.keys()].join("")}]`, "gu");

/** Marks that are optional in these scripts. In others a mark is a vowel, a tone or, as in か and が, another letter. */
const accents =
  /[[\p{M}&&[\p{sc=Inherited}\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}\p{sc=Hebrew}\p{sc=Arabic}\p{sc=Syriac}]]--[\u3099\u309a]]/gv;
/** The dot below that letters of Indic scripts are written with or without. */
const nuktas = /[\u093c\u09bc\u0a3c\u0abc\u0b3c\u0c3c\u0cbc]/g;
/** Invisible characters, and tatweel, which only lengthens a line of Arabic. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}\u0640]/gu;
/** NFKD would turn these into letters of the word before them. */
const tradeMarks = /[™℠]/g;
const katakana = /[\u30a1-\u30f6\u30fd\u30fe]/g;

/**
 * Folds text for comparing, searching and sorting: removes case (Unicode's full case folding), accents, vowel marks of Hebrew and
 * Arabic, compatibility variants (UAX 15, NFKC) and invisible characters, and collapses blanks. Digits of any script become those of
 * ASCII, katakana becomes hiragana. Folding is idempotent. Folded values are stored (`terms`, `name_key`, `sku_key`, `words`): a change of
 * this function needs a migration of them.
 */
export function foldText(text: string): string {
  if (/^[ -~]*$/.test(text)) return collapseBlanks(text.toLowerCase());
  const decomposed = text.replaceAll(tradeMarks, " ").normalize("NFKD").replaceAll(invisible, "");
  // Case first: the iota below a Greek letter is a mark in small letters and a letter in capitals.
  const folded = foldCase(decomposed)
    .replaceAll(accents, "")
    .replaceAll(nuktas, "")
    .replaceAll(anyVariant, (letter) => letterOf.get(letter)!)
    .replaceAll(katakana, (letter) => String.fromCodePoint(letter.codePointAt(0)! - 0x60))
    .replaceAll(/[^\P{Nd}0-9]/gu, digitOf);
  return collapseBlanks(folded).normalize("NFC");
}

/** Goes through capitals, because equal letters have the same capital: "SS" for ß, "Σ" for σ and ς. */
function foldCase(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase();
}

/** The digits of a script are consecutive in Unicode, from 0 to 9. */
function digitOf(digit: string): string {
  const codePoint = digit.codePointAt(0)!;
  let first = codePoint;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
  return String((codePoint - first) % 10);
}

function collapseBlanks(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
