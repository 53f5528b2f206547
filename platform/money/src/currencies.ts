import * as listed from "dinero.js/currencies";

/** Still listed there: Bulgaria adopted the euro on 2026-01-01. */
const withdrawn: ReadonlySet<string> = new Set(["BGN"]);

/**
 * Digits of the minor unit by code. For currencies with five minor units per unit (MGA, MRU) ISO 4217 specifies two digits
 * nevertheless.
 */
const exponents: ReadonlyMap<string, number> = new Map(
  Object.values(listed)
    .filter(({ code }) => !withdrawn.has(code))
    .map(({ code, base, exponent }) => [code, base === 10 ? exponent : 2]),
);

/**
 * The number of digits of a currency's minor unit in ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD. Undefined for unknown codes,
 * and for those without minor units, such as gold (XAU) and the test code (XTS).
 */
export function minorUnitDigits(currencyCode: string): number | undefined {
  return exponents.get(currencyCode);
}
