import { create } from "@bufbuild/protobuf";
import {
  BatchGetProductsRequestSchema,
  CreateProductRequestSchema,
  DecideOrdersRequestSchema,
  ImportProductsRequestSchema,
  ListProductsRequestSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { createMessageCheck } from "@shop/runtime";
import { expect, test } from "vitest";

const manyAttributes = () => Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`NO ${index}`, ""]));
const times = <Item>(count: number, item: Item): Item[] => Array.from({ length: count }, () => item);
const productMistakes = createMessageCheck(CreateProductRequestSchema);
const decideMistakes = createMessageCheck(DecideOrdersRequestSchema);
const aLine = { productId: "any", quantity: 0 };

test("a list that is too long is one violation, and its items are not validated", () => {
  const request = create(BatchGetProductsRequestSchema, { productIds: times(101, "x".repeat(101)) });
  expect(createMessageCheck(BatchGetProductsRequestSchema)(request)).toEqual([
    { field: "product_ids", description: "must contain no more than 100 item(s)", reason: "repeated.max_items" },
  ]);
});

test("a map that is too large is one violation, and its pairs are not validated", () => {
  expect(productMistakes(create(CreateProductRequestSchema, { product: { attributes: manyAttributes() } }))).toEqual([
    { field: "product.attributes", description: "map must be at most 32 entries", reason: "map.max_pairs" },
  ]);
});

test("a text that is far too long is one violation, and is not matched with its pattern", () => {
  expect(productMistakes(create(CreateProductRequestSchema, { product: { name: "\n".repeat(16_385) } }))).toEqual([
    { field: "product.name", description: "must be at most 200 characters", reason: "string.max_len" },
  ]);
});

test("a text that is a little too long does not hide violations of other fields", () => {
  const mistakes = productMistakes(
    create(CreateProductRequestSchema, { product: { name: "n".repeat(201), stock: -1 } }),
  );
  expect(mistakes.map(({ field }) => field)).toEqual(expect.arrayContaining(["product.name", "product.stock"]));
});

test("at most twenty violations are reported", () => {
  const orders = times(1, { orderId: "order", lines: times(50, aLine) });
  expect(decideMistakes(create(DecideOrdersRequestSchema, { orders }))).toHaveLength(20);
});

test("the first violation of a message with hundreds of values is reported", () => {
  const orders = times(200, { orderId: "order", lines: times(100, aLine) });
  expect(decideMistakes(create(DecideOrdersRequestSchema, { orders }))).toMatchObject([
    { field: "orders[0].lines[0].quantity" },
  ]);
});

test("the key of a map is reported in at most 200 characters", () => {
  const attributes = { ["é".repeat(1_000)]: "red" };
  const [mistake] = productMistakes(create(CreateProductRequestSchema, { product: { attributes } }));
  expect(mistake?.field.match(/é/g)).toHaveLength(200);
});

test("a field that is validated by its method has no size limit in the schema", () => {
  const request = create(ImportProductsRequestSchema, { product: { attributes: manyAttributes() } });
  expect(createMessageCheck(ImportProductsRequestSchema)(request)).toEqual([]);
});

test("a query accepts every kind of blank, as in pasted text, and no other control character", () => {
  const mistakes = (query: string) =>
    createMessageCheck(ListProductsRequestSchema)(create(ListProductsRequestSchema, { query }));
  expect(mistakes("\tlevis\u3000jeans\r\n")).toEqual([]);
  expect(mistakes("levis\0")).toMatchObject([{ field: "query" }]);
});
