import { minorUnitDigits } from "./currencies.ts";

/** An amount of money: an integer of minor units and an ISO 4217 code. Never a float. */
export interface Money {
  readonly currencyCode: string;
  readonly minorUnits: bigint;
}

/** `unit` times `quantity`. */
export function times(unit: Money, quantity: number): Money {
  return { currencyCode: unit.currencyCode, minorUnits: unit.minorUnits * BigInt(quantity) };
}

/**
 * The sum of amounts of one currency.
 *
 * @throws RangeError if the currencies differ or there are no amounts
 */
export function sum(amounts: readonly Money[]): Money {
  const [first, ...rest] = amounts;
  if (first === undefined) throw new RangeError("a sum needs at least one amount");
  return rest.reduce((total, amount) => {
    if (amount.currencyCode !== total.currencyCode) {
      throw new RangeError(`${amount.currencyCode} can't be added to ${total.currencyCode}`);
    }
    return { currencyCode: total.currencyCode, minorUnits: total.minorUnits + amount.minorUnits };
  }, first);
}

/** Formats an amount for people, with the digits of its currency: `12.90 EUR`, `1290 JPY`, `1.290 KWD`. */
export function formatMoney({ currencyCode, minorUnits }: Money): string {
  const digits = minorUnitDigits(currencyCode) ?? 0;
  const sign = minorUnits < 0n ? "-" : "";
  const text = String(minorUnits < 0n ? -minorUnits : minorUnits).padStart(digits + 1, "0");
  const end = text.length - digits;
  return `${sign}${text.slice(0, end)}${digits === 0 ? "" : `.${text.slice(end)}`} ${currencyCode}`;
}
