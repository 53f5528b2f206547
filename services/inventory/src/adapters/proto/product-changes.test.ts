import { create } from "@bufbuild/protobuf";
import { ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { expect, test } from "vitest";
import { toProductMessage } from "./product.ts";
import { applyChanges } from "./product-changes.ts";

const details = {
  name: "Kettle",
  description: "Boils",
  category: "Kitchen",
  price: { currencyCode: "EUR", minorUnits: 1299n },
  sku: "KIT-1",
  imageUrl: "https://example.com/kettle.jpg",
  attributes: { color: "red", power: "2 kW" },
  state: "active" as const,
};
const asRead = {
  productId: "product_01h455vb4pex5vsknk084sn02q",
  version: 3,
  createTime: new Date(0),
  updateTime: new Date(1),
  details,
  balance: { onHand: 9, reserved: 2, sequence: 3 },
};
const mask = (...paths: string[]) => ({ $typeName: "google.protobuf.FieldMask" as const, paths });

test("an update changes only the fields of its mask", () => {
  const product = create(ProductSchema, { name: "Pot", description: "", category: "Else" });
  expect(applyChanges(asRead, product, mask("name", "description"))).toEqual({
    ...details,
    name: "Pot",
    description: "",
  });
});

test("a part of the price can change alone", () => {
  const product = create(ProductSchema, { price: { minorUnits: 5n } });
  expect(applyChanges(asRead, product, mask("price.minor_units")).price).toEqual({
    currencyCode: "EUR",
    minorUnits: 5n,
  });
});

test("an update without a mask changes the fields that are set", () => {
  const product = create(ProductSchema, { productId: "product_x", category: "Else" });
  expect(applyChanges(asRead, product, undefined)).toEqual({ ...details, category: "Else" });
});

test.each([
  ["stock", "product.stock"],
  ["no_such_field", "product.no_such_field"],
  ["name", "product.name"],
])("a mask of %s that leaves no valid product is refused", (path, field) => {
  expect(() => applyChanges(asRead, create(ProductSchema, {}), mask(path))).toThrow(
    expect.objectContaining({ kind: "invalid_argument", facts: { violations: [expect.objectContaining({ field })] } }),
  );
});

test("a product can be sent back unchanged, with its stock, as long as that is still the current stock", () => {
  const product = create(ProductSchema, { ...toProductMessage(asRead), name: "Pot" });
  const everything = mask(...ProductSchema.fields.map(({ name }) => name));
  expect(applyChanges(asRead, product, everything)).toEqual({ ...details, name: "Pot" });
  expect(applyChanges(asRead, product, undefined)).toEqual({ ...details, name: "Pot" });
  const moved = { ...asRead, balance: { onHand: 9, reserved: 3, sequence: 4 } };
  expect(() => applyChanges(moved, product, everything)).toThrow(
    expect.objectContaining({ facts: { violations: [expect.objectContaining({ field: "product.stock" })] } }),
  );
});

test("a mask with the id or the etag changes nothing", () => {
  const product = create(ProductSchema, { productId: "product_x", etag: "v1" });
  expect(applyChanges(asRead, product, mask("product_id", "etag"))).toEqual(details);
});
