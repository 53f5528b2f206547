import { expect, test } from "vitest";
import { minorUnitDigits } from "./currencies.ts";

test.each([
  ["EUR", 2],
  ["JPY", 0],
  ["KWD", 3],
  ["CLF", 4],
  ["MGA", 2],
  ["XCG", 2],
])("%s has %i digits of minor units", (code, digits) => {
  expect(minorUnitDigits(code)).toBe(digits);
});

test.each(["ZZZ", "EUE", "DEM", "BGN", "XAU", "XTS", "XXX", "eur", "", "__proto__"])(
  "%s is not a currency for payments",
  (code) => {
    expect(minorUnitDigits(code)).toBeUndefined();
  },
);
