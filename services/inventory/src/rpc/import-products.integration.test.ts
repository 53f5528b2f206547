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

test("10,000 rows are written by fewer than 200 writes, and their stock comes through the ledger", async () => {
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

test("the same rows again change nothing; changed rows change what they say, and never the stock", async () => {
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

test("a row that can't be used is told with its number, its SKU and its fields, and holds up no other", async () => {
  const opened = await openImporting();
  const told = await opened.import([
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
  expect(counts(told)).toEqual([2, 0, 0, 5]);
  expect(told.errors.map((error) => [error.row, error.sku, error.field])).toEqual([
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
  for (const { description } of told.errors) expect(description).toMatch(/\w/);
  const many = await opened.import(Array.from({ length: 1_500 }, () => ({})));
  expect([many.refused, new Set(many.errors.map(({ row }) => row)).size]).toEqual([1_500, 1_500]);
  expect(many.errors.length).toBeLessThan(2_500);
});

test("a dry run writes nothing, and tells what a run would do", async () => {
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
  const told = await opened.import(wanted, { dryRun: true });
  expect(counts(told)).toEqual([1, 2, 1, 1]);
  expect(told.changes).toMatchObject([
    { row: 2, sku: "sku-1", created: false, fields: ["name"] },
    { row: 3, sku: "SKU-2", created: false, fields: ["price", "image_url"] },
    { row: 5, sku: "SKU-NEW", created: true, fields: [] },
  ]);
  expect(await productDocuments.find().toArray()).toEqual(before);
  expect(await ledgerDocuments.countDocuments()).toBe(1);

  const written = await opened.import(wanted);
  expect(counts(written)).toEqual(counts(told));
  expect(written.changes).toEqual([]);
  expect((await opened.import(wanted, { dryRun: true })).changes).toEqual([]);
});

test("rows that are a dry run and rows that are not are no call", async () => {
  const { productDocuments, ...on } = await openImporting();
  async function* requests() {
    yield create(ImportProductsRequestSchema, { product: row("SKU-0"), dryRun: true });
    yield create(ImportProductsRequestSchema, { product: row("SKU-1") });
  }
  await expect(importProducts({ ...on })(requests(), admin)).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
  expect(await productDocuments.countDocuments()).toBe(0);
});

test("a SKU in another case is the same product, and a category in another case the same category; the same rows again change nothing", async () => {
  const opened = await openImporting();
  const wanted = [row("ket-1", { category: "Kitchen" }), row("KET-1"), row("ket-2", { category: "KITCHEN" })];
  const told = await opened.import(wanted);
  expect(counts(told)).toEqual([2, 0, 0, 1]);
  expect(told.errors).toMatchObject([{ row: 2, sku: "KET-1", description: "is that of row 1, too" }]);
  expect(counts(await opened.import(wanted.map((one) => ({ ...one, sku: one.sku!.toUpperCase() }))))).toEqual([
    0, 0, 2, 1,
  ]);
  expect(await opened.productDocuments.distinct("category")).toEqual(["Kitchen"]);
  expect(await opened.productDocuments.distinct("sku")).toEqual(["ket-1", "ket-2"]);
});

test("what is archived stays so unless a row says otherwise, and a deleted product is not brought back", async () => {
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

test("two imports of the same rows at once make each product once, and one of them last", async () => {
  const opened = await openImporting();
  const { productDocuments } = opened;
  const one = rows(700, { description: "one" });
  const other = rows(700, { description: "other" }).reverse();
  const told = await Promise.all([opened.import(one), opened.import(other)]);
  expect(told[0].created + told[1].created).toBe(700);
  expect(told.flatMap(({ errors }) => errors)).toEqual([]);
  expect(await productDocuments.countDocuments({})).toBe(700);
  expect(await productDocuments.countDocuments({ description: { $in: ["one", "other"] } })).toBe(700);
});

test("a call takes 10,000 rows and no more; what it has written before stays", async () => {
  const opened = await openImporting();
  await expect(opened.import(Array.from({ length: 10_001 }, () => ({})))).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
  });
});
