import { expect, test } from "vitest";
import { createPageTokens, cutPage } from "./paging.ts";

const tokens = createPageTokens(() => ["a secret that is long enough for a test"]);

test("a token returns its position, for the same filters, on every replica with the secret", () => {
  const token = tokens.seal("product_1", ["name"]);
  expect(createPageTokens(() => ["a secret that is long enough for a test"]).open(token, ["name"])).toBe("product_1");
});

test.each([
  ["for other filters", tokens.seal("product_1", ["other"])],
  ["of another secret", createPageTokens(() => ["another secret"]).seal("product_1", ["name"])],
  ["changed", `${tokens.seal("product_1", ["name"]).slice(0, -2)}AA`],
  ["without a position", "AAAA"],
  ["garbage", "%%%"],
])("a token that is %s is refused", (_how, token) => {
  expect(() => tokens.open(token, ["name"])).toThrow(expect.objectContaining({ kind: "invalid_argument" }));
});

test("a page has a successor exactly if more items were read than its size", () => {
  expect(cutPage([1, 2, 3], 2)).toEqual({ page: [1, 2], last: 2 });
  expect(cutPage([1, 2], 2)).toEqual({ page: [1, 2], last: undefined });
});
