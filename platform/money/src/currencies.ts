import * as listed from "dinero.js/currencies";

/** Listed there still: Bulgaria has the euro since 2026-01-01. */
const withdrawn: ReadonlySet<string> = new Set(["BGN"]);

/** Digits of the minor unit, by code. Where five minor units make a whole one (MGA, MRU), ISO 4217 counts hundredths nevertheless. */
const exponents: ReadonlyMap<string, number> = new Map(
  Object.values(listed)
    .filter(({ code }) => !withdrawn.has(code))
    .map(({ code, base, exponent }) => [code, base === 10 ? exponent : 2]),
);

/**
 * How many digits of an amount in this currency are its minor units, as ISO 4217 lists it: 2 for EUR, 0 for JPY, 3 for KWD. Undefined
 * for what is no currency, and for what has no minor units, such as gold (XAU) and the code for tests (XTS).
 */
export function minorUnitDigits(currencyCode: string): number | undefined {
  return exponents.get(currencyCode);
}
