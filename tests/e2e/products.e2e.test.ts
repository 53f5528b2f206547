import type { JsonObject } from "@bufbuild/protobuf";
import type { Product } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { beforeAll, describe, expect, test } from "vitest";
import { refusalOf } from "./refusal.ts";
import {
  type Account,
  addProduct,
  anonymous,
  decided,
  placeOrder,
  shop,
  signInAdmin,
  signUp,
  stockOf,
  unique,
} from "./shopping.ts";

let admin: Account;

beforeAll(async () => {
  admin = await signInAdmin();
});

/** A PATCH written by hand. */
async function patch({ productId }: Product, body: JsonObject): Promise<{ status: number; json: JsonObject }> {
  const response = await fetch(`${shop.url}/products/${productId}`, {
    method: "PATCH",
    headers: { ...admin.headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: (await response.json()) as JsonObject };
}

async function get({ productId }: Product): Promise<JsonObject> {
  return (await (await fetch(`${shop.url}/products/${productId}`)).json()) as JsonObject;
}

describe("PATCH", () => {
  const original = () =>
    addProduct(admin, {
      name: "Lamp",
      description: "Bright",
      category: "Light",
      price: { currencyCode: "EUR", minorUnits: 3_000n },
      sku: unique("lamp"),
      stock: 4,
    });
  /** Each body, and the fields of the product that differ afterwards. */
  const changes: readonly (readonly [string, JsonObject, JsonObject])[] = [
    ["the name", { name: "Lantern" }, { name: "Lantern" }],
    ["the description", { description: "Dim" }, { description: "Dim" }],
    ["the description to empty", { description: "" }, { description: "" }],
    ["the category", { category: "Outdoors" }, { category: "Outdoors" }],
    [
      "the price",
      { price: { currency_code: "USD", minor_units: 99 } },
      { price: { currency_code: "USD", minor_units: "99" } },
    ],
    ["the amount alone", { price: { minor_units: 99 } }, { price: { currency_code: "EUR", minor_units: "99" } }],
    ["the amount to zero", { price: { minor_units: 0 } }, { price: { currency_code: "EUR", minor_units: "0" } }],
    [
      "the currency alone",
      { price: { currency_code: "USD" } },
      { price: { currency_code: "USD", minor_units: "3000" } },
    ],
    ["the SKU to empty", { sku: "" }, { sku: "" }],
    ["two fields", { name: "Torch", category: "Tools" }, { name: "Torch", category: "Tools" }],
  ];

  test.for(changes)("changes %s and nothing else", async ([, body, difference]) => {
    const product = await original();
    const before = await get(product);
    const { status, json } = await patch(product, body);
    expect(status, JSON.stringify(json)).toBe(200);
    expect(json).toEqual({
      ...before,
      ...difference,
      etag: expect.not.stringMatching(new RegExp(`^${before.etag}$`)),
      update_time: expect.any(String),
    });
    expect(await get(product)).toEqual(json);
  });

  test.for<readonly [string, JsonObject, string]>([
    ["an empty name", { name: "" }, "product.name"],
    ["a name of blanks", { name: "  " }, "product.name"],
    ["an empty category", { category: "" }, "product.category"],
    ["a negative price", { price: { minor_units: -1 } }, "product.price.minor_units"],
    ["no price", { price: null }, "product.price"],
    ["stock", { stock: 5 }, "product.stock"],
    ["stock of zero", { stock: 0 }, "product.stock"],
    ["stock beside a name", { name: "Kettle", stock: 5 }, "product.stock"],
  ])("refuses %s and changes nothing", async ([, body, field]) => {
    const product = await original();
    const before = await get(product);
    const { status, json } = await patch(product, body);
    expect(status).toBe(400);
    expect(JSON.stringify(json)).toContain(`"field":"${field}"`);
    expect(await get(product)).toEqual(before);
  });

  test("with the etag that was read works once; with a stale one it is 409 and changes nothing", async () => {
    const product = await original();
    const { etag } = product;
    const first = await patch(product, { name: "First", etag });
    expect(first.status).toBe(200);
    const second = await patch(product, { name: "Second", etag });
    expect(second).toMatchObject({ status: 409, json: { code: 10 } });
    expect(await get(product)).toMatchObject({ name: "First", etag: first.json.etag });
    expect(
      await refusalOf(
        admin.inventory.updateProduct({
          product: { productId: product.productId, name: "Third", etag },
          updateMask: { paths: ["name"] },
        }),
      ),
    ).toMatchObject({ code: "Aborted", reason: "PRODUCT_CHANGED" });
  });

  test("of many with the same etag, one wins", async () => {
    const product = await original();
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_, index) => patch(product, { name: `Lamp ${index}`, etag: product.etag })),
    );
    expect(outcomes.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(outcomes.filter(({ status }) => status === 409)).toHaveLength(15);
  });

  test("of different fields at once loses none of them", async () => {
    const product = await original();
    const bodies: JsonObject[] = [
      { name: "N" },
      { description: "D" },
      { category: "C" },
      { price: { minor_units: 1 } },
    ];
    const outcomes = await Promise.all(bodies.map((body) => patch(product, body)));
    expect(outcomes.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await get(product)).toMatchObject({
      name: "N",
      description: "D",
      category: "C",
      price: { currency_code: "EUR", minor_units: "1" },
    });
  });

  test("does not affect stock that is sold concurrently", async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 50 });
    const orders = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const [order] = await Promise.all([placeOrder(buyer, [product, 1]), patch(product, { name: `Lamp ${index}` })]);
        return order;
      }),
    );
    await Promise.all(orders.map((order) => decided(buyer, order)));
    expect(await stockOf(product)).toBe(30);
  });
});

test("a cached read is never old at the replica that wrote: the next read shows a PATCH, an order and a DELETE", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 100 });
  for (let round = 1; round <= 20; round++) {
    await Promise.all(Array.from({ length: 4 }, () => get(product)));
    await patch(product, { description: `round ${round}` });
    expect(await get(product)).toMatchObject({ description: `round ${round}` });
    if (round % 5 === 0) {
      await decided(buyer, await placeOrder(buyer, [product, 1]));
      expect(await stockOf(product)).toBe(100 - round / 5);
    }
  }
  await admin.inventory.deleteProduct({ productId: product.productId });
  expect(await get(product)).toMatchObject({ code: 5 });
});

test("readers of a changing product never see an older version after a newer one", async () => {
  const product = await addProduct(admin, { description: "0" });
  let done = false;
  const reader = async () => {
    let last = 0;
    while (!done) {
      const now = Number((await get(product)).description);
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  };
  const readers = Array.from({ length: 6 }, reader);
  try {
    for (let version = 1; version <= 40; version++) {
      await patch(product, { description: `${version}` });
      expect(await get(product)).toMatchObject({ description: `${version}` });
    }
  } finally {
    done = true;
    await Promise.all(readers);
  }
});

describe("a deleted product", () => {
  test("is removed from the catalogue, and can't be deleted twice, changed or ordered", async () => {
    const buyer = await signUp();
    const product = await addProduct(admin);
    const { productId, category } = product;
    await get(product);
    expect(await admin.inventory.deleteProduct({ productId })).toMatchObject({});
    const notFound = { code: "NotFound", reason: "PRODUCT_NOT_FOUND" };
    expect(await refusalOf(admin.inventory.deleteProduct({ productId }))).toMatchObject(notFound);
    expect(await refusalOf(anonymous.inventory.getProductByID({ productId }))).toMatchObject(notFound);
    expect((await anonymous.inventory.listProducts({ category })).products).toEqual([]);
    const rename = { product: { productId, name: "Back" }, updateMask: { paths: ["name"] } };
    expect(await refusalOf(admin.inventory.updateProduct(rename))).toMatchObject(notFound);
    expect(await refusalOf(placeOrder(buyer, [product, 1]))).toEqual({
      code: "InvalidArgument",
      reason: "PRODUCT_UNKNOWN",
      violations: ["items[0].product_id"],
    });
  });

  test("is unchanged in existing orders, and their stock can still be released", async () => {
    const buyer = await signUp();
    const product = await addProduct(admin);
    const order = await placeOrder(buyer, [product, 2]);
    await decided(buyer, order);
    await admin.inventory.deleteProduct({ productId: product.productId });
    const { order: kept } = await buyer.orders.getOrderByID({ orderId: order.orderId });
    expect(kept!.items).toMatchObject([{ productId: product.productId, name: product.name, quantity: 2 }]);
    const cancelled = await admin.orders.cancelOrder({ orderId: order.orderId, reason: "is gone" });
    expect(cancelled.order!.status).toBe(6);
  });
});

describe("a SKU", () => {
  test("belongs to one product, on create and on update", async () => {
    const sku = unique("sku");
    await addProduct(admin, { sku });
    const taken = { code: "AlreadyExists", reason: "SKU_TAKEN" };
    expect(await refusalOf(addProduct(admin, { sku }))).toMatchObject(taken);
    const other = await addProduct(admin);
    expect(await patch(other, { sku })).toMatchObject({ status: 409, json: { code: 6 } });
    expect(await get(other)).toMatchObject({ sku: "" });
  });

  test("that is absent does not collide with another absent one", async () => {
    const [one, other] = await Promise.all([addProduct(admin), addProduct(admin)]);
    expect([one.sku, other.sku]).toEqual(["", ""]);
  });

  test("is requested by 10 concurrent calls: one gets it", async () => {
    const sku = unique("sku");
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => refusalOf(addProduct(admin, { sku }))));
    expect(outcomes.filter(({ code }) => code === "answered")).toHaveLength(1);
    expect(outcomes.filter(({ reason }) => reason === "SKU_TAKEN")).toHaveLength(9);
  });
});

describe("a page token", () => {
  const fill = async (count: number) => {
    const category = unique("Shelf");
    for (let index = 0; index < count; index++) await addProduct(admin, { category, name: `Book ${index}` });
    return category;
  };
  const refused = { code: "InvalidArgument", reason: "INVALID_FIELDS", violations: ["page_token"] };

  test("continues where the page ended, even if products are added or deleted meanwhile", async () => {
    const category = await fill(5);
    const first = await anonymous.inventory.listProducts({ category, pageSize: 2 });
    await addProduct(admin, { category, name: "Newcomer" });
    await admin.inventory.deleteProduct({ productId: first.products[1]!.productId });
    const second = await anonymous.inventory.listProducts({ category, pageSize: 2, pageToken: first.nextPageToken });
    expect(second.products.map(({ name }) => name)).toEqual(["Book 2", "Book 1"]);
    const again = await anonymous.inventory.listProducts({ category, pageSize: 2, pageToken: first.nextPageToken });
    expect(again).toEqual(second);
    const third = await anonymous.inventory.listProducts({ category, pageSize: 2, pageToken: second.nextPageToken });
    expect(third.products.map(({ name }) => name)).toEqual(["Book 0"]);
    expect(third.nextPageToken).toBe("");
  });

  test("may be used with another page size, and a full last page has none", async () => {
    const category = await fill(4);
    const first = await anonymous.inventory.listProducts({ category, pageSize: 1 });
    const rest = await anonymous.inventory.listProducts({ category, pageSize: 3, pageToken: first.nextPageToken });
    expect(rest.products).toHaveLength(3);
    expect(rest.nextPageToken).toBe("");
  });

  test("is refused with other filters, by another method, and when modified", async () => {
    const category = await fill(2);
    const { nextPageToken: pageToken } = await anonymous.inventory.listProducts({ category, pageSize: 1 });
    for (const request of [
      { pageToken },
      { category: "Other", pageToken },
      { category, name: "Book", pageToken },
      { name: category, pageToken },
      { category, pageToken: `${pageToken}A` },
      { category, pageToken: `A${pageToken.slice(1)}B` },
      { category, pageToken: pageToken.slice(0, -4) },
    ]) {
      expect(await refusalOf(anonymous.inventory.listProducts(request)), JSON.stringify(request)).toEqual(refused);
    }
    expect(await refusalOf(admin.orders.getOrdersByUser({ pageToken }))).toEqual(refused);
  });

  test("pages through the whole catalogue, every product once", async () => {
    const seen = new Set<string>();
    let count = 0;
    let pageToken = "";
    do {
      const page = await anonymous.inventory.listProducts({ pageSize: 100, pageToken });
      count += page.products.length;
      for (const { productId } of page.products) seen.add(productId);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen.size).toBe(count);
    expect(count).toBeGreaterThanOrEqual(100);
  });
});

test("the sample catalogue has at least 100 products of several categories", async () => {
  const categories = new Map<string, number>();
  let pageToken = "";
  do {
    const page = await anonymous.inventory.listProducts({ pageSize: 100, pageToken });
    for (const { category, sku } of page.products) {
      // The sample's products are identified by SKU; other tests' categories have a random part.
      if (/^[A-Z]+-\d+$/.test(sku)) categories.set(category, (categories.get(category) ?? 0) + 1);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(categories.values().reduce((all, some) => all + some, 0)).toBeGreaterThanOrEqual(100);
  expect(categories.size).toBeGreaterThanOrEqual(3);
});

test("a filter by name matches words, not a pattern", async () => {
  const category = unique("Patterns");
  for (const name of ["100% (pure)", "100 pulp", "a.c", "abc"]) await addProduct(admin, { category, name });
  const found = async (name: string) =>
    (await anonymous.inventory.listProducts({ category, name })).products.map((product) => product.name);
  expect(await found("% (PUR")).toEqual(["100% (pure)"]);
  expect(await found("pu 100")).toEqual(["100 pulp", "100% (pure)"]);
  expect(await found("a.c")).toEqual(["a.c"]);
  expect(await found("bc")).toEqual([]);
  expect(await found(".*")).toEqual([]);
  expect(await found("$")).toEqual([]);
});
