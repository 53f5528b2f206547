import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ImportProductsRequestSchema,
  type ImportProductsResponse,
  type Product,
  type ProductSchema,
  ProductState,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import { openTestInventory } from "../testing/open-test-inventory.ts";
import { importProducts } from "./import-products.ts";

const admin = contextOf({ kind: "user", userId: "user_admin", roles: ["admin"] });

type Row = Exclude<MessageInitShape<typeof ProductSchema>, Product>;

async function openImporting() {
  const inventory = await openTestInventory();
  const importRows = importProducts(inventory);
  return {
    ...inventory,
    async import(rows: Iterable<Row>, { dryRun = false } = {}) {
      async function* requests() {
        for (const product of rows) yield create(ImportProductsRequestSchema, { product, dryRun });
      }
      return (await importRows(requests(), admin)) as ImportProductsResponse;
    },
  };
}

const row = (sku: string, more: Row = {}): Row => ({
  sku,
  name: `Product ${sku}`,
  category: "Imported",
  price: { currencyCode: "EUR", minorUnits: 100n },
  stock: 7,
  ...more,
});
const rows = (count: number, more: Row = {}) => Array.from({ length: count }, (_, index) => row(`SKU-${index}`, more));
const counts = ({ created, updated, unchanged, refused }: ImportProductsResponse) => [
  created,
  updated,
  unchanged,
  refused,
];

test("10,000 rows take fewer than 200 writes, and their stock is in the ledger", async () => {
  const opened = await openImporting();
  const { productDocuments, ledgerDocuments } = opened;
  const writes = [
    vi.spyOn(productDocuments, "insertMany"),
    vi.spyOn(productDocuments, "insertOne"),
    vi.spyOn(productDocuments, "bulkWrite"),
    vi.spyOn(ledgerDocuments, "insertOne"),
  ];
  expect(counts(await opened.import(rows(10_000)))).toEqual([10_000, 0, 0, 0]);
  expect(writes.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBeLessThan(200);

  expect(await productDocuments.countDocuments({ "balance.on_hand": 7, "balance.sequence": 1, in_stock: true })).toBe(
    10_000,
  );
  const [sum] = await ledgerDocuments
    .aggregate([
      { $unwind: "$moves" },
      { $group: { _id: null, on_hand: { $sum: "$moves.on_hand_delta" }, n: { $sum: 1 } } },
    ])
    .toArray();
  expect(sum).toMatchObject({ on_hand: 70_000, n: 10_000 });
}, 120_000);

test("repeated rows change nothing, and changed rows change the products' details but never their stock", async () => {
  const opened = await openImporting();
  const { products, stockOf, cache } = opened;
  await opened.import(rows(600, { attributes: { color: "red" }, imageUrl: "https://example.com/a.jpg" }));
  const changed = vi.spyOn(cache, "changed");
  expect(
    counts(await opened.import(rows(600, { attributes: { color: "red" }, imageUrl: "https://example.com/a.jpg" }))),
  ).toEqual([0, 0, 600, 0]);
  expect(changed).not.toHaveBeenCalled();

  const before = (await products.findBySkus(["SKU-3"])).get("SKU-3");
  const changedRows = [...rows(3), row("SKU-3", { stock: 1_000, description: "New" }), row("SKU-NEW")];
  expect(counts(await opened.import(changedRows))).toEqual([1, 4, 0, 0]);
  const after = (await products.findBySkus(["SKU-3"])).get("SKU-3");
  expect(after).toMatchObject({
    version: before!.version + 1,
    details: { description: "New", attributes: {}, imageUrl: "" },
  });
  expect(await stockOf(after!.productId)).toEqual({ onHand: 7, reserved: 0 });
  expect(changed.mock.calls.flat().map(({ productId, version }) => `${productId} ${version}`)).toContain(
    `${after!.productId} ${after!.version}`,
  );
});

test("an invalid row is reported with its number, SKU and fields, and the other rows are written", async () => {
  const opened = await openImporting();
  const response = await opened.import([
    row("SKU-0"),
    { sku: "SKU-1" },
    row("a sku"),
    row("SKU-3", {
      price: { currencyCode: "euro", minorUnits: -1n },
      attributes: { $where: "1" },
      imageUrl: "javascript:1",
    }),
    row(""),
    row("SKU-0", { name: "Again" }),
    row("SKU-6"),
  ]);
  expect(counts(response)).toEqual([2, 0, 0, 5]);
  expect(response.errors.map((error) => [error.row, error.sku, error.field])).toEqual([
    [2, "SKU-1", "name"],
    [2, "SKU-1", "category"],
    [2, "SKU-1", "price"],
    [3, "a sku", "sku"],
    [4, "SKU-3", "price.currency_code"],
    [4, "SKU-3", "price.minor_units"],
    [4, "SKU-3", "image_url"],
    [4, "SKU-3", 'attributes["$where"]'],
    [5, "", "sku"],
    [6, "SKU-0", "sku"],
  ]);
  for (const { description } of response.errors) expect(description).toMatch(/\w/);
  const many = await opened.import(Array.from({ length: 1_500 }, () => ({})));
  expect([many.refused, new Set(many.errors.map(({ row }) => row)).size]).toEqual([1_500, 1_500]);
  expect(many.errors.length).toBeLessThan(2_500);
});

test("a dry run writes nothing, and returns the changes that a run would make", async () => {
  const opened = await openImporting();
  const { productDocuments, ledgerDocuments } = opened;
  await opened.import(rows(3));
  const before = await productDocuments.find().toArray();
  const wanted = [
    row("SKU-0"),
    row("sku-1", { name: "Renamed", category: "IMPORTED" }),
    row("SKU-2", { price: { currencyCode: "USD", minorUnits: 1n }, imageUrl: "https://example.com/a.jpg", stock: 99 }),
    { sku: "SKU-3" },
    row("SKU-NEW"),
  ];
  const response = await opened.import(wanted, { dryRun: true });
  expect(counts(response)).toEqual([1, 2, 1, 1]);
  expect(response.changes).toMatchObject([
    { row: 2, sku: "sku-1", created: false, fields: ["name"] },
    { row: 3, sku: "SKU-2", created: false, fields: ["price", "image_url"] },
    { row: 5, sku: "SKU-NEW", created: true, fields: [] },
  ]);
  expect(await productDocuments.find().toArray()).toEqual(before);
  expect(await ledgerDocuments.countDocuments()).toBe(1);

  const written = await opened.import(wanted);
  expect(counts(written)).toEqual(counts(response));
  expect(written.changes).toEqual([]);
  expect((await opened.import(wanted, { dryRun: true })).changes).toEqual([]);
});

test("a call that mixes dry-run rows with others is refused", async () => {
  const { productDocuments, ...on } = await openImporting();
  async function* requests() {
    yield create(ImportProductsRequestSchema, { product: row("SKU-0"), dryRun: true });
    yield create(ImportProductsRequestSchema, { product: row("SKU-1") });
  }
  await expect(importProducts({ ...on })(requests(), admin)).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
  expect(await productDocuments.countDocuments()).toBe(0);
});

test("SKUs and categories are compared without case, and repeated rows change nothing", async () => {
  const opened = await openImporting();
  const wanted = [row("ket-1", { category: "Kitchen" }), row("KET-1"), row("ket-2", { category: "KITCHEN" })];
  const response = await opened.import(wanted);
  expect(counts(response)).toEqual([2, 0, 0, 1]);
  expect(response.errors).toMatchObject([{ row: 2, sku: "KET-1", description: "is that of row 1, too" }]);
  expect(counts(await opened.import(wanted.map((one) => ({ ...one, sku: one.sku!.toUpperCase() }))))).toEqual([
    0, 0, 2, 1,
  ]);
  expect(await opened.productDocuments.distinct("category")).toEqual(["Kitchen"]);
  expect(await opened.productDocuments.distinct("sku")).toEqual(["ket-1", "ket-2"]);
});

test("an archived product stays archived unless its row has a state, and a deleted one is not restored", async () => {
  const opened = await openImporting();
  const { products } = opened;
  await opened.import([row("SKU-0", { state: ProductState.ARCHIVED }), row("SKU-1")]);
  await opened.import([row("SKU-0", { name: "Renamed" })]);
  expect((await products.findBySkus(["SKU-0"])).get("SKU-0")!.details).toMatchObject({
    name: "Renamed",
    state: "archived",
  });
  await opened.import([row("SKU-0", { state: ProductState.ACTIVE })]);
  expect((await products.findBySkus(["SKU-0"])).get("SKU-0")!.details.state).toBe("active");

  const gone = (await products.findBySkus(["SKU-1"])).get("SKU-1");
  await products.remove(gone!.productId, undefined, new Date());
  expect(counts(await opened.import([row("SKU-1")]))).toEqual([1, 0, 0, 0]);
  expect(await products.findById(gone!.productId)).toBeUndefined();
});

test("two concurrent imports of the same SKUs create each product once, and one of them is written last", async () => {
  const opened = await openImporting();
  const { productDocuments } = opened;
  const one = rows(700, { description: "one" });
  const other = rows(700, { description: "other" }).reverse();
  const response = await Promise.all([opened.import(one), opened.import(other)]);
  expect(response[0].created + response[1].created).toBe(700);
  expect(response.flatMap(({ errors }) => errors)).toEqual([]);
  expect(await productDocuments.countDocuments({})).toBe(700);
  expect(await productDocuments.countDocuments({ description: { $in: ["one", "other"] } })).toBe(700);
});

test("a call accepts 10,000 rows, and keeps what it wrote when a further row ends it", async () => {
  const opened = await openImporting();
  await expect(opened.import(Array.from({ length: 10_001 }, () => ({})))).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
  });
});
