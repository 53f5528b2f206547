import { readmeExample } from "@shop/http-port/testing/readme-example";
import { expect, test } from "vitest";

type Example = { totalOf(price: { currencyCode: string; minorUnits: bigint }, quantity: number): string };

test("the README's example is exact to the last minor unit", async () => {
  const { totalOf } = await readmeExample<Example>("@shop/money", import.meta.dirname);
  expect(totalOf({ currencyCode: "EUR", minorUnits: 1290n }, 3)).toBe("43.60 EUR");
  expect(totalOf({ currencyCode: "JPY", minorUnits: 1290n }, 3)).toBe("4360 JPY");
});
