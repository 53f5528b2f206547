import { expect, test } from "vitest";
import { checkNewPassword } from "./password-rules.ts";

const refused = expect.objectContaining({
  kind: "invalid_argument",
  reason: "PASSWORD_TOO_COMMON",
  facts: { violations: [expect.objectContaining({ field: "password" })] },
});
const check = (password: string) => () => checkNewPassword("password", password, "Ada.Lovelace");

test.each(["password", "PassWord", "12345678", "iloveyou", "qwertyuiop", "football"])("%s is refused", (password) => {
  expect(check(password)).toThrow(refused);
});

test.each(["ada.lovelace", "ADA.LOVELACE", "Ａda.Lovelace"])("%s is refused to Ada.Lovelace", (password) => {
  expect(check(password)).toThrow(refused);
});

test.each(["correct horse battery staple", "ada.lovelace!", "passwort mit Umlauten: äöü", "😀😀😀😀😀😀😀😀"])(
  "%s is taken",
  (password) => expect(check(password)).not.toThrow(),
);

test.each([
  ["eight that are four once composed", "e\u0301".repeat(4)],
  ["half of a surrogate pair", "correct horse\ud800"],
  ["NUL", "correct\u0000horse"],
  ["a tab", "correct\thorse"],
  ["a line break at the end", "correct horse\n"],
  ["DEL", "correct horse\u007f"],
  ["a control character of C1", "correct\u0085horse"],
])("%s are refused", (_what, password) => {
  expect(check(password)).toThrow(
    expect.objectContaining({
      reason: "INVALID_FIELDS",
      facts: { violations: [expect.objectContaining({ field: "password" })] },
    }),
  );
});
