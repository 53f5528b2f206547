export { minorUnitDigits } from "./currencies.ts";
export { formatMoney, type Money, sum, times } from "./money.ts";
