import { expect, test } from "vitest";
import { formatMoney } from "./money.ts";

test.each([
  ["EUR", 1290n, "12.90 EUR"],
  ["EUR", 5n, "0.05 EUR"],
  ["EUR", -5n, "-0.05 EUR"],
  ["JPY", 1290n, "1290 JPY"],
  ["JPY", 0n, "0 JPY"],
  ["KWD", 1290n, "1.290 KWD"],
  ["EUR", 9_007_199_254_740_993n, "90071992547409.93 EUR"],
])("in %s %i minor units are %s", (currencyCode, minorUnits, expected) => {
  expect(formatMoney({ currencyCode, minorUnits })).toBe(expected);
});
