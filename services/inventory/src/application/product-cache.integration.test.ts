import { create } from "@bufbuild/protobuf";
import { createPageTokens } from "@shop/core";
import {
  AdjustStockRequestSchema,
  BatchGetProductsRequestSchema,
  CreateProductRequestSchema,
  DeleteProductRequestSchema,
  GetProductByIDRequestSchema,
  ListProductsRequestSchema,
  UpdateProductRequestSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { contextOf, openTestCache } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import { adjustStock } from "../rpc/adjust-stock.ts";
import { batchGetProducts } from "../rpc/batch-get-products.ts";
import { createProduct } from "../rpc/create-product.ts";
import { deleteProduct } from "../rpc/delete-product.ts";
import { getProductByID } from "../rpc/get-product-by-id.ts";
import { listProducts } from "../rpc/list-products.ts";
import { updateProduct } from "../rpc/update-product.ts";
import { openTestInventory } from "../testing/open-test-inventory.ts";

const admin = contextOf({ kind: "user", userId: "user_admin", roles: ["admin"] });

/** The methods of the catalogue, behind a real cache. */
async function openCatalogue() {
  const inventory = await openTestInventory(await openTestCache());
  const pageTokens = createPageTokens(() => ["a secret that is long enough for a test"]);
  const methods = {
    create: createProduct(inventory),
    update: updateProduct(inventory),
    remove: deleteProduct(inventory),
    adjust: adjustStock(inventory),
    get: getProductByID(inventory),
    list: listProducts({ ...inventory, pageTokens }),
    batchGet: batchGetProducts(inventory),
  };
  return {
    productDocuments: inventory.productDocuments,
    async add(name: string, stock = 10) {
      const product = { name, category: "Things", price: { currencyCode: "EUR", minorUnits: 100n }, stock };
      return (await methods.create(create(CreateProductRequestSchema, { product }), admin)).product!.productId!;
    },
    rename: (productId: string, name: string) =>
      methods.update(
        create(UpdateProductRequestSchema, { product: { productId, name }, updateMask: { paths: ["name"] } }),
        admin,
      ),
    remove: (productId: string) => methods.remove(create(DeleteProductRequestSchema, { productId }), admin),
    adjust: (productId: string, onHandDelta: number) =>
      methods.adjust(create(AdjustStockRequestSchema, { productId, onHandDelta, reason: "counted" }), admin),
    get: async (productId: string) =>
      (await methods.get(create(GetProductByIDRequestSchema, { productId }), admin)).product!,
    async page(name = "") {
      const request = create(ListProductsRequestSchema, { name });
      return (await methods.list(request, admin)).products!.map(({ name, stock }) => ({ name, stock }));
    },
    batchGet: async (productId: string) =>
      (await methods.batchGet(create(BatchGetProductsRequestSchema, { productIds: [productId] }), admin)).products![0]!,
  };
}

test("BatchGetProducts, which prices orders, reads the database even if the cache has other values", async () => {
  const catalogue = await openCatalogue();
  const productId = await catalogue.add("Lamp");
  await catalogue.get(productId);
  // Written directly, so the cache is not invalidated.
  const changed = { "price.minor_units": 250n, "balance.on_hand": 3 } as const;
  await catalogue.productDocuments.updateOne({ _id: productId }, { $set: changed });
  expect(await catalogue.get(productId)).toMatchObject({ price: { minorUnits: 100n }, stock: 10 });
  expect(await catalogue.batchGet(productId)).toMatchObject({ price: { minorUnits: 250n }, stock: 3 });
});

test("every page shows added, changed and deleted products at once", async () => {
  const catalogue = await openCatalogue();
  expect([await catalogue.page(), await catalogue.page("Lam")]).toEqual([[], []]);
  const productId = await catalogue.add("Lamp");
  for (const name of ["", "Lam"]) expect(await catalogue.page(name)).toEqual([{ name: "Lamp", stock: 10 }]);
  await catalogue.rename(productId, "Lamb");
  for (const name of ["", "Lam"]) expect(await catalogue.page(name)).toEqual([{ name: "Lamb", stock: 10 }]);
  await catalogue.remove(productId);
  for (const name of ["", "Lam"]) expect(await catalogue.page(name)).toEqual([]);
});

test("a movement of stock shows on the product at once, and on pages after two seconds at most", async () => {
  const catalogue = await openCatalogue();
  const productId = await catalogue.add("Lamp");
  expect(await catalogue.page()).toEqual([{ name: "Lamp", stock: 10 }]);
  await catalogue.adjust(productId, -4);
  await vi.waitFor(async () => expect(await catalogue.get(productId)).toMatchObject({ stock: 6 }), { timeout: 100 });
  expect(await catalogue.page()).toEqual([{ name: "Lamp", stock: 10 }]);
  await vi.waitFor(async () => expect(await catalogue.page()).toEqual([{ name: "Lamp", stock: 6 }]), {
    timeout: 2_100,
  });
});

test("a deleted product is not found at once, even if it was cached", async () => {
  const catalogue = await openCatalogue();
  const productId = await catalogue.add("Lamp");
  await catalogue.get(productId);
  await catalogue.remove(productId);
  for (let n = 0; n < 2; n++)
    await expect(catalogue.get(productId)).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });
});
