import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "@shop/core";
import {
  CreateProductRequestSchema,
  type Product,
  type ProductSchema,
  UpdateProductRequestSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { contextOf, silentLog } from "@shop/runtime/testing";
import type { Db } from "mongodb";
import { expect, test, vi } from "vitest";
import { createProduct } from "../../rpc/create-product.ts";
import { updateProduct } from "../../rpc/update-product.ts";
import { newProduct, openTestInventory } from "../../testing/open-test-inventory.ts";
import { mergeCategorySpellings } from "./categories.ts";
import { toDocument } from "./product-document.ts";
import { completeSkuKeys } from "./sku-keys.ts";

const admin = contextOf({ kind: "user", userId: "user_admin", roles: ["admin"] });
type Details = Exclude<MessageInitShape<typeof ProductSchema>, Product>;

async function open() {
  const inventory = await openTestInventory();
  const price = { currencyCode: "EUR", minorUnits: 1n };
  return {
    ...inventory,
    async add(details: Details, requestId = "") {
      const product = { name: "Thing", category: "Things", price, ...details };
      const answer = await createProduct(inventory)(create(CreateProductRequestSchema, { product, requestId }), admin);
      return answer.product as { productId: string; category: string; sku: string };
    },
    async change(productId: string, changes: Details, ...paths: string[]) {
      const request = create(UpdateProductRequestSchema, {
        product: { productId, ...changes },
        updateMask: { paths },
      });
      return (await updateProduct(inventory)(request, admin)).product as { category: string; sku: string };
    },
  };
}

const taken = { reason: "SKU_TAKEN" };

test("SKUs are unique without case, also under concurrent requests", async () => {
  const { add, change, products, productDocuments } = await open();
  const { productId } = await add({ sku: "ket-1" });
  await expect(add({ sku: "KET-1" })).rejects.toMatchObject(taken);
  const other = await add({ sku: "other" });
  await expect(change(other.productId, { sku: "Ket-1" }, "sku")).rejects.toMatchObject(taken);
  expect(await change(productId, { sku: "KET-1" }, "sku")).toMatchObject({ sku: "KET-1" });

  const spellings = Array.from({ length: 16 }, (_, n) =>
    [..."race"].map((letter, at) => (n & (1 << at) ? letter.toUpperCase() : letter)).join(""),
  );
  const results = await Promise.allSettled(spellings.map((sku) => add({ sku })));
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await productDocuments.countDocuments({ sku: /^race$/i })).toBe(1);

  await products.remove(productId, undefined, new Date());
  const next = await add({ sku: "kEt-1" });
  await expect(products.restore(productId, new Date())).rejects.toMatchObject(taken);
  await change(next.productId, {}, "sku");
  expect(await products.restore(productId, new Date())).toMatchObject({ details: { sku: "KET-1" } });
});

/** Inserts products as an earlier release stored them, in the order of their ids. */
async function plantEarlier(db: Db, planted: readonly Details[]) {
  const documents = planted.map(({ sku, category = "Things" }, index) => {
    const { sku_key: _, ...document } = toDocument(newProduct(`product_${index}`, 1, sku));
    return { ...document, category };
  });
  await db.collection<{ _id: string }>("products").insertMany(documents);
}

test("stored SKUs that differ only in case are logged and kept, each can be changed, and no new ones are accepted", async () => {
  const { db, add, change, products, productDocuments } = await open();
  await plantEarlier(db, [{ sku: "pan-1" }, { sku: "Pan-1" }, { sku: "PAN-1" }, { sku: "pot-1" }, {}]);
  const warn = vi.fn<Logger["warn"]>();
  await Promise.all([1, 2].map(() => completeSkuKeys(productDocuments, { ...silentLog, warn } as unknown as Logger)));
  await completeSkuKeys(productDocuments, { ...silentLog, warn } as unknown as Logger);
  expect(warn).toHaveBeenLastCalledWith({ count: 2, skus: ["Pan-1", "PAN-1"] }, expect.any(String));
  expect(await productDocuments.distinct("sku")).toEqual(["PAN-1", "Pan-1", "pan-1", "pot-1"]);

  await expect(add({ sku: "pAN-1" })).rejects.toMatchObject(taken);
  await expect(add({ sku: "POT-1" })).rejects.toMatchObject(taken);
  expect(await products.findBySkus(["pan-1", "Pan-1", "PAN-1", "pAn-1", "POT-1", "none"])).toEqual(
    new Map(
      Object.entries({ "pan-1": 0, "Pan-1": 1, "PAN-1": 2, "pAn-1": 0, "POT-1": 3 }).map(([sku, index]) => [
        sku,
        expect.objectContaining({ productId: `product_${index}` }),
      ]),
    ),
  );
  await change("product_1", { name: "Renamed" }, "name");
  // The holder of the plain key is deleted; its twins still refuse new ones.
  await products.remove("product_0", undefined, new Date());
  await expect(add({ sku: "pan-1" })).rejects.toMatchObject(taken);
  await expect(products.restore("product_0", new Date())).rejects.toMatchObject(taken);
  await change("product_1", { sku: "pan-2" }, "sku");
  await change("product_2", {}, "sku");
  expect(await products.restore("product_0", new Date())).toMatchObject({ details: { sku: "pan-1" } });
});

test("a product gets the existing spelling of its category, and an update can change the spelling", async () => {
  const { add, change, search } = await open();
  const kitchen = await add({ category: "Küche" });
  expect(await add({ category: "KÜCHE" })).toMatchObject({ category: "Küche" });
  expect(await add({ category: "Ku\u0308che" })).toMatchObject({ category: "Küche" });
  const { productId } = await add({ category: "Garden" });
  expect(await change(productId, { category: "küche" }, "category")).toMatchObject({ category: "Küche" });
  expect(await change(kitchen.productId, { category: "KÜCHE" }, "category")).toMatchObject({ category: "KÜCHE" });

  // A repeated request gets its first response.
  const first = await add({ category: "kÜCHE" }, "request-1");
  await change(kitchen.productId, { category: "kuche" }, "category");
  expect(await add({ category: "kÜCHE" }, "request-1")).toMatchObject({
    productId: first.productId,
    category: first.category,
  });
  expect(first.category).toBe("KÜCHE");

  const listing = {
    query: undefined,
    name: undefined,
    category: "kÜche",
    attributes: [],
    prices: undefined,
    inStock: false,
    order: "newest",
  } as const;
  expect(await search.list(listing, undefined, 10)).toHaveLength(5);
  expect((await search.countCategories(listing)).counts).toEqual([{ category: "Küche", count: 5 }]);
});

test("the migration of stored spellings keeps the most used one, and runs once", async () => {
  const { db, productDocuments, change } = await open();
  await db.collection("migrations").deleteMany({});
  const categories = ["Tea", "TEA", "TEA", "tea", " Caf\u0065\u0301 ", "Garden"];
  await plantEarlier(
    db,
    categories.map((category) => ({ category })),
  );
  await Promise.all([mergeCategorySpellings(db, productDocuments), mergeCategorySpellings(db, productDocuments)]);
  const spelled = () => productDocuments.distinct("category");
  expect(await spelled()).toEqual(["Café", "Garden", "TEA"]);
  expect(await productDocuments.findOne({ _id: "product_1" as never })).toMatchObject({ version: 1 });
  await change("product_0", { category: "Tea" }, "category");
  await mergeCategorySpellings(db, productDocuments);
  expect(await spelled()).toEqual(["Café", "Garden", "TEA", "Tea"]);
});
