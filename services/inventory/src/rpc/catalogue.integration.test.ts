import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createPageTokens, newId } from "@shop/core";
import {
  BatchGetProductsRequestSchema,
  CreateProductRequestSchema,
  DeleteProductRequestSchema,
  GetProductByIDRequestSchema,
  type ListProductsRequest,
  ListProductsRequestSchema,
  type ListProductsResponse,
  type Product,
  ProductSchema,
  ProductState,
  UndeleteProductRequestSchema,
  UpdateProductRequestSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import { decide } from "../domain/ledger.ts";
import { openTestInventory } from "../testing/open-test-inventory.ts";
import { batchGetProducts } from "./batch-get-products.ts";
import { createProduct } from "./create-product.ts";
import { deleteProduct } from "./delete-product.ts";
import { getProductByID } from "./get-product-by-id.ts";
import { listProducts } from "./list-products.ts";
import { undeleteProduct } from "./undelete-product.ts";
import { updateProduct } from "./update-product.ts";

type Init = Exclude<MessageInitShape<typeof ProductSchema>, Product>;

const admin = contextOf({ kind: "user", userId: "user_admin", roles: ["admin"] });

async function openCatalogue() {
  const inventory = await openTestInventory();
  const pageTokens = createPageTokens(() => ["a secret that is long enough for a test"]);
  const [create_, get, update, remove, undelete, list, batchGet] = [
    createProduct(inventory),
    getProductByID(inventory),
    updateProduct(inventory),
    deleteProduct(inventory),
    undeleteProduct(inventory),
    listProducts({ ...inventory, pageTokens }),
    batchGetProducts(inventory),
  ];
  type ListRequest = Exclude<MessageInitShape<typeof ListProductsRequestSchema>, ListProductsRequest>;
  return {
    ...inventory,
    async add(init: Init = {}) {
      const price = { currencyCode: "EUR", minorUnits: 100n };
      const product = { name: "Kettle", category: "Kitchen", price, stock: 3, ...init };
      return (await create_(create(CreateProductRequestSchema, { product }), admin)).product as Product;
    },
    get: async ({ productId }: Product) =>
      (await get(create(GetProductByIDRequestSchema, { productId }), admin)).product as Product,
    update: async ({ productId }: Product, init: Init, ...paths: string[]) =>
      (
        await update(
          create(UpdateProductRequestSchema, { product: { productId, ...init }, updateMask: { paths } }),
          admin,
        )
      ).product as Product,
    remove: async ({ productId }: Product, etag = "") =>
      await remove(create(DeleteProductRequestSchema, { productId, etag }), admin),
    undelete: async ({ productId }: Product) =>
      (await undelete(create(UndeleteProductRequestSchema, { productId }), admin)).product as Product,
    list: async (request: ListRequest = {}) =>
      (await list(create(ListProductsRequestSchema, request), admin)) as ListProductsResponse,
    read: async ({ productId }: Product, ...paths: string[]) => {
      const request = create(BatchGetProductsRequestSchema, { productIds: [productId], readMask: { paths } });
      const [read] = (await batchGet(request, admin)).products!;
      return create(ProductSchema, read!);
    },
    batchGet: async (...productIds: string[]) =>
      (await batchGet(create(BatchGetProductsRequestSchema, { productIds }), admin)).products!.map(
        (product) => product.productId,
      ),
  };
}

async function openCreating() {
  const { db, update, remove, ...inventory } = await openCatalogue();
  const createWithKey = createProduct(inventory);
  return {
    update,
    remove,
    documents: db.collection("products"),
    async create(requestId: string, init: Init = {}, context = admin) {
      const price = { currencyCode: "EUR", minorUnits: 100n };
      const product = { name: "Kettle", category: "Kitchen", price, stock: 3, ...init };
      const request = create(CreateProductRequestSchema, { product, requestId });
      return (await createWithKey(request, context)).product as Product;
    },
  };
}

test("requests with one idempotency key create one product and get one response, also concurrently and after it changed or was deleted", async () => {
  const { create: createWithKey, remove, update, documents } = await openCreating();
  const answers = await Promise.all(Array.from({ length: 8 }, () => createWithKey("one", { sku: "K-1" })));
  const [first] = answers as [Product];
  for (const answer of answers) expect(answer).toEqual(first);
  await update(first, { name: "Pot" }, "name");
  expect(await createWithKey("one", { sku: "K-1" })).toEqual(first);
  await remove(first);
  expect(await createWithKey("one", { sku: "K-1" })).toEqual(first);
  expect(await documents.countDocuments()).toBe(1);
});

test("a key with other content is refused, equal content in another form is accepted, and keys of different callers are independent", async () => {
  const { create: createWithKey, documents } = await openCreating();
  const first = await createWithKey("one", { attributes: { a: "1", b: "2" } });
  expect(
    await createWithKey("one", { attributes: { b: "2", a: "1" }, state: ProductState.ACTIVE, etag: "v9" }),
  ).toEqual(first);
  for (const other of [{ stock: 4 }, { attributes: { a: "1" } }, { name: "Pot", attributes: { a: "1", b: "2" } }])
    await expect(createWithKey("one", other)).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });
  await createWithKey("one", {}, contextOf({ kind: "user", userId: "user_other", roles: ["admin"] }));
  await createWithKey("");
  await createWithKey("");
  expect(await documents.countDocuments()).toBe(4);
});

test("a refused request does not use up its key", async () => {
  const { create: createWithKey } = await openCreating();
  await createWithKey("one", { sku: "K-1" });
  await expect(createWithKey("two", { sku: "K-1" })).rejects.toMatchObject({ reason: "SKU_TAKEN" });
  expect((await createWithKey("two", { sku: "K-2" })).sku).toBe("K-2");
});

test("every field of a product can be read alone", async () => {
  const { add, read } = await openCatalogue();
  const product = await add({
    description: "Boils",
    sku: "K-1",
    imageUrl: "https://a.example/k",
    attributes: { color: "red" },
  });
  for (const { name: path, localName } of ProductSchema.fields) {
    expect(await read(product, path)).toEqual(
      create(ProductSchema, { productId: product.productId, [localName]: product[localName as keyof Product] }),
    );
  }
  expect(await read(product, "*")).toEqual(create(ProductSchema, product));
});

const archived = { state: ProductState.ARCHIVED };
const active = { state: ProductState.ACTIVE };

test("an archived product can be read by its id, but is neither listed nor sold, until it is active again", async () => {
  const { add, get, update, list, batchGet, products } = await openCatalogue();
  const product = await add({ attributes: { color: "red" } });
  expect(product.state).toBe(ProductState.ACTIVE);
  const order = { orderId: newId("order"), lines: [{ productId: product.productId, quantity: 1 }] };
  const decided = async () =>
    decide(await products.balancesOf([product.productId], "sold"), [order]).decisions[0]!.outcome;

  expect(await update(product, archived, "state")).toMatchObject(archived);
  expect(await get(product)).toMatchObject({ ...archived, name: "Kettle", attributes: { color: "red" }, stock: 3 });
  expect((await list()).products).toEqual([]);
  expect((await list({ query: "kettle", attributes: ["color:red"] })).products).toEqual([]);
  expect(await batchGet(product.productId)).toEqual([]);
  expect(await decided()).toBe("refused");

  await update(product, { name: "Pot" }, "name");
  expect(await get(product)).toMatchObject(archived);
  expect((await list()).products).toEqual([]);
  await update(product, active, "state");
  expect((await list({ query: "pot" })).products).toMatchObject([{ productId: product.productId, ...active }]);
  expect(await batchGet(product.productId)).toEqual([product.productId]);
  expect(await decided()).toBe("reserved");
});

test("a product is found by its current name, not by an earlier one", async () => {
  const { add, update, list } = await openCatalogue();
  const product = await add({ description: "Boils", sku: "KET-1", attributes: { color: "red" } });
  await update(product, { name: "Pot", attributes: { size: "m" }, sku: "" }, "name", "attributes", "sku");
  const found = async (request: Parameters<typeof list>[0]) => (await list(request)).products!.length;
  expect(await found({ query: "pot" })).toBe(1);
  expect(await found({ attributes: ["size:m"] })).toBe(1);
  for (const before of [{ query: "kettle" }, { query: "KET-1" }, { attributes: ["color:red"] }])
    expect(await found(before), JSON.stringify(before)).toBe(0);
});

test("a product is deleted with its current etag, and not with a stale one", async () => {
  const { add, update, get, remove } = await openCatalogue();
  const product = await add();
  const { etag } = await update(product, { name: "Pot" }, "name");
  for (const stale of [product.etag, "v0", "etag", "v1e1"])
    await expect(remove(product, stale)).rejects.toMatchObject({ reason: "PRODUCT_CHANGED" });
  expect((await get(product)).name).toBe("Pot");
  await remove(product, etag);
  await expect(remove(product, etag)).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });
});

test("an undeleted product has its details and SKU again, and the stock of its ledger", async () => {
  const { add, get, update, remove, undelete, list, stockOf, ledgerSumOf } = await openCatalogue();
  const product = await update(await add({ sku: "KET-1", attributes: { color: "red" } }), archived, "state");
  await expect(undelete(product)).rejects.toMatchObject({ kind: "already_exists", reason: "PRODUCT_NOT_DELETED" });
  await remove(product);
  await expect(get(product)).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });

  const { etag, updateTime, ...before } = product;
  expect(await undelete(product)).toMatchObject(before);
  expect((await get(product)).etag).toBe("v4");
  expect((await list()).products).toEqual([]);
  await update(product, active, "state");
  expect((await list({ query: "ket-1" })).products).toHaveLength(1);
  expect(await stockOf(product.productId)).toEqual(await ledgerSumOf(product.productId));
  await expect(undelete(product)).rejects.toMatchObject({ reason: "PRODUCT_NOT_DELETED" });
  const unknown = { ...product, productId: newId("product") };
  await expect(undelete(unknown)).rejects.toMatchObject({ reason: "PRODUCT_NOT_FOUND" });
});

test("a product can't be undeleted while another product has its SKU", async () => {
  const { add, remove, undelete, update } = await openCatalogue();
  const product = await add({ sku: "KET-1" });
  await remove(product);
  const other = await add({ sku: "KET-1" });
  await expect(undelete(product)).rejects.toMatchObject({ reason: "SKU_TAKEN" });
  await update(other, { sku: "KET-2" }, "sku");
  expect((await undelete(product)).sku).toBe("KET-1");
});

test("undeleting and archiving invalidate the cache with a newer version than any that was read", async () => {
  const { add, remove, undelete, update, cache } = await openCatalogue();
  const changed = vi.spyOn(cache, "changed");
  const product = await add();
  await update(product, archived, "state");
  await remove(product);
  await undelete(product);
  const revisions = changed.mock.calls.flat().map(({ productId, version }) => ({ productId, version }));
  expect(revisions).toEqual([1, 2, 3, 4].map((version) => ({ productId: product.productId, version })));
});

test("BatchGetProducts returns products in the requested order, without those that are not sold", async () => {
  const { add, remove, update, batchGet } = await openCatalogue();
  const [one, two, three, gone] = [await add(), await add(), await add(), await add()];
  await remove(gone!);
  await update(two!, archived, "state");
  const ids = [three, gone, one, two, one].map((product) => product!.productId);
  expect(await batchGet(...ids, newId("product"))).toEqual([three!.productId, one!.productId]);
});

test("a page token is valid only for its query, filters and order", async () => {
  const { add, list } = await openCatalogue();
  for (let index = 0; index < 3; index++) await add({ attributes: { color: "red" } });
  const request = { query: "kettle", attributes: ["color:red"], currencyCode: "EUR", pageSize: 1 };
  const { nextPageToken: pageToken } = await list(request);
  expect((await list({ ...request, pageToken, pageSize: 2 })).products).toHaveLength(2);
  const others = [
    { query: "ket" },
    { attributes: [] },
    { currencyCode: "" },
    { minPrice: 0n },
    { maxPrice: 1_000n },
    { inStock: true },
    { orderBy: "name" },
    { category: "Kitchen" },
    { name: "kettle" },
  ];
  for (const other of others) {
    const [field] = Object.keys(other);
    await expect(list({ ...request, ...other, pageToken }), field).rejects.toMatchObject({
      facts: { violations: [{ field: "page_token" }] },
    });
  }
});

test("prices without a currency and empty price ranges are refused", async () => {
  const { list } = await openCatalogue();
  await expect(list({ minPrice: 1n })).rejects.toMatchObject({ facts: { violations: [{ field: "currency_code" }] } });
  await expect(list({ currencyCode: "EUR", minPrice: 2n, maxPrice: 1n })).rejects.toMatchObject({
    facts: { violations: [{ field: "max_price" }] },
  });
});

test("a product that sells out is not listed as in stock", async () => {
  const { add, list, products, ledger } = await openCatalogue();
  const { productId } = await add({ stock: 2 });
  const inStock = async () => (await list({ inStock: true })).products!.length;
  const reserve = async (quantity: number) => {
    const order = { orderId: newId("order"), lines: [{ productId, quantity }] };
    const plan = decide(await products.balancesOf([productId], "sold"), [order]);
    await ledger.append({ kind: "decided", plan, events: [], actor: "test", time: new Date() });
  };
  expect(await inStock()).toBe(1);
  await reserve(1);
  expect(await inStock()).toBe(1);
  await reserve(1);
  expect(await inStock()).toBe(0);
});
