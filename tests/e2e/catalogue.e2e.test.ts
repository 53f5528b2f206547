import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { JsonObject } from "@bufbuild/protobuf";
import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { InventoryService, type ListProductsRequest } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ownEnvironment } from "../setup/own-environment.ts";
import { refusalOf } from "./refusal.ts";
import {
  type Account,
  anonymous,
  decided,
  placeOrder,
  shop,
  signInAdmin,
  signUp,
  stockOf,
  unique,
} from "./shopping.ts";

type Filters = Partial<Omit<ListProductsRequest, "$typeName" | "$unknown">>;

const repositoryRoot = join(import.meta.dirname, "../..");

let admin: Account;

beforeAll(async () => {
  admin = await signInAdmin();
});

/** Runs `npm run import` on a file with that text; returns its output and whether it succeeded. */
async function importText(name: string, text: string | Uint8Array, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "shop-import-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, name);
  writeFileSync(file, text);
  const { stdout, ...ended } = await runImport(file, ...flags);
  return { printed: stdout.trim().split("\n"), code: ended.code };
}

async function runImport(...args: string[]) {
  const { dataDir, inventoryUrl } = shop;
  const own = { DATA_DIR: dataDir, INVENTORY_URL: inventoryUrl };
  const env = { ...ownEnvironment(), ...own };
  const run = promisify(execFile)("npm", ["run", "--silent", "import", "--", ...args], { cwd: repositoryRoot, env });
  const ended: { stdout: string; stderr: string; code?: number } = await run.catch((error) => error);
  return { stdout: ended.stdout, stderr: ended.stderr, code: ended.code ?? 0 };
}

test("a catalogue is imported from a file, found, sorted, paged, counted and sold, and the same file again changes nothing", async () => {
  const [category, word] = [unique("Imported"), unique("glaze").replace("-", "")];
  const csv = [
    "sku,name,description,category,price.currency_code,price.minor_units,stock,attributes.glaze",
    ...Array.from(
      { length: 30 },
      (_, index) =>
        `${word}-${index},"${index % 2 === 0 ? "Cup" : "Teacup"}, ${index}",Made of ${word},${category},EUR,${1000 + (index % 7)},${index % 3},${word}`,
    ),
    `${word}-bad,,No name,${category},euro,1,1,`,
    `${word}-0,Twice,,${category},EUR,1,1,`,
    `${word}-number,Cup,,${category},EUR,a lot,1,`,
  ].join("\n");
  const first = await importText("products.csv", csv);
  expect(first.code).toBe(1);
  expect(first.printed).toEqual([
    expect.stringMatching(/^line 33: the SKU .* is also that of line 2/),
    expect.stringMatching(/^line 34: price.minor_units is "a lot", but has to be a whole number/),
    expect.stringMatching(/^line 32, .*: price.currency_code must be a currency/),
    expect.stringMatching(/^line 32, .*: name is required/),
    "33 rows: 30 created, 0 changed, 3 refused",
    "30 products created, 0 changed, 0 unchanged, 3 rows refused",
  ]);
  const good = csv.split("\n").slice(0, 31).join("\n");
  expect(await importText("products.csv", good)).toEqual({
    code: 0,
    printed: [
      "30 rows: 0 created, 0 changed, 0 refused",
      "0 products created, 0 changed, 30 unchanged, 0 rows refused",
    ],
  });

  // Found by a word of the description, page by page.
  const found = async (request: Filters) => {
    const products = [];
    let pageToken = "";
    do {
      const page = await anonymous.inventory.listProducts({ ...request, pageSize: 7, pageToken });
      products.push(...page.products);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return products;
  };
  expect(await found({ query: word })).toHaveLength(30);
  expect((await found({ query: `${word} cup` })).map(({ name }) => name.startsWith("Cup"))).toEqual(
    Array.from({ length: 15 }, () => true),
  );
  expect(await found({ category, query: "teac" })).toHaveLength(15);
  expect((await found({ query: `${word}-17` }))[0]).toMatchObject({ name: "Teacup, 17" });
  expect(await found({ attributes: [`glaze:${word}`], inStock: true })).toHaveLength(20);
  const byPrice = await found({ category, orderBy: "price", currencyCode: "EUR", minPrice: 1001n, maxPrice: 1003n });
  expect(byPrice.map(({ price }) => Number(price!.minorUnits))).toEqual(
    [1001, 1002, 1003].flatMap((amount) => Array.from({ length: amount === 1001 ? 5 : 4 }, () => amount)),
  );
  const rest = await fetch(`${shop.url}/products?query=${word}&order_by=name&page_size=1&count_categories=true`);
  expect(await rest.json()).toMatchObject({
    products: [{ name: "Cup, 0", attributes: { glaze: word } }],
    category_counts: [{ category, count: 30 }],
    category_counts_partial: false,
  });

  // A product that an order sells out is no longer listed as in stock.
  const buyer = await signUp();
  const [product] = await found({ query: `${word}-1` });
  expect(await stockOf(product!)).toBe(1);
  await decided(buyer, await placeOrder(buyer, [product!, 1]));
  // Pages may show stock that is up to two seconds old.
  const inStock = () => found({ attributes: [`glaze:${word}`], inStock: true });
  await vi.waitFor(async () => expect(await inStock()).toHaveLength(19), { timeout: 2_500 });

  // NDJSON changes only the fields that it names, and no stock.
  const line = (changes: JsonObject) => {
    const price = { currency_code: "EUR", minor_units: 1 };
    return JSON.stringify({ sku: product!.sku, name: "Bowl", category, price, stock: 99, ...changes });
  };
  const changed = await importText("products.ndjson", `${line({})}\n\n{"sku": 1}\nnothing\n`);
  expect(changed.printed).toEqual([
    expect.stringMatching(/^line 3: /),
    expect.stringMatching(/^line 4: /),
    "3 rows: 0 created, 1 changed, 2 refused",
    "0 products created, 1 changed, 0 unchanged, 2 rows refused",
  ]);
  expect((await anonymous.inventory.getProductByID({ productId: product!.productId })).product).toMatchObject({
    name: "Bowl",
    description: "",
    stock: 0,
  });
});

test("the README's sample is imported after a dry run, in several encodings and with several separators", async () => {
  const readme = readFileSync(join(repositoryRoot, "services/inventory/README.md"), "utf8");
  const sku = unique("KET");
  const sample = /^```csv\n(.*?)^```$/ms.exec(readme)![1]!.replaceAll("KET", sku);
  const dryRun = await importText("products.csv", sample, "--dry-run");
  expect(dryRun).toEqual({
    code: 0,
    printed: [
      `line 2, ${sku}-1: would be created`,
      `line 3, ${sku}-2: would be created`,
      "2 rows: 2 created, 0 changed, 0 refused",
      "2 products would be created, 0 would be changed, 0 unchanged, 0 rows refused",
    ],
  });
  const find = async () => (await anonymous.inventory.listProducts({ query: sku, orderBy: "name" })).products;
  expect(await find()).toEqual([]);
  expect((await importText("products.csv", sample)).printed.at(-1)).toMatch(/^2 products created, 0 changed/);
  expect(await find()).toMatchObject([
    { sku: `${sku}-1`, name: "Kettle", category: "Kitchen", stock: 25, attributes: { color: "red" } },
    { sku: `${sku}-2`, name: "Kettle, 2 l", price: { currencyCode: "EUR", minorUnits: 4990n }, stock: 10 },
  ]);
  const semicolons = sample.toLowerCase().replaceAll(", 2 l", "@").replaceAll(",", ";").replaceAll("@", ", 2 l");
  const utf16 = Buffer.from(
    `\ufeff${semicolons.replace("kettle;", " Kettle\u00a0;").replace('"kettle', '"Kettle').replaceAll("eur", "EUR")}`,
    "utf16le",
  );
  expect((await importText("products.csv", utf16)).printed.at(-1)).toMatch(
    /^0 products created, 0 changed, 2 unchanged/,
  );
});

test("a file that can't be imported gets an explanation, and nothing is written", async () => {
  const sku = unique("NOPE");
  const csv = `sku,name,category,price.currency_code,price.minor_units\n${sku}-1,Kettle,x,EUR,1\n${sku}-2,K\xe4nnchen,x,EUR,1\n`;
  const folder = mkdtempSync(join(tmpdir(), "shop-import-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const latin1 = join(folder, "latin1.csv");
  writeFileSync(latin1, Buffer.from(csv, "latin1"));
  for (const [file, words] of [
    ["nope.csv", /nope.csv there is no such file/],
    [folder, /is a directory/],
    [latin1, /line 3 can't be read as UTF-8.* Save it as UTF-8/],
  ] as const) {
    const { stderr, stdout, code } = await runImport(file);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(words);
    expect(stderr).toMatch(/Nothing was written/);
    expect(stderr).not.toMatch(/ at /);
  }
  for (const args of [[], ["one.csv", "two.csv"], ["--unknown", "one.csv"]])
    expect(await runImport(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining("Which file?") });
  expect((await anonymous.inventory.listProducts({ query: sku })).products).toEqual([]);
});

describe("ImportProducts, on the public port", () => {
  const transports: Readonly<Record<string, (interceptors: Interceptor[]) => Transport>> = {
    gRPC: (interceptors) => createGrpcTransport({ baseUrl: shop.url, interceptors }),
    "Connect over HTTP/1.1": (interceptors) =>
      createConnectTransport({ baseUrl: shop.url, httpVersion: "1.1", interceptors }),
    "Connect in JSON over HTTP/2": (interceptors) =>
      createConnectTransport({ baseUrl: shop.url, httpVersion: "2", useBinaryFormat: false, interceptors }),
  };

  test.for(Object.keys(transports))("by %s is for administrators, and imports the valid rows only", async (name) => {
    const importAs = async (headers: Readonly<Record<string, string>>, count: number) => {
      const withHeaders: Interceptor = (next) => async (request) => {
        for (const [header, value] of Object.entries(headers)) request.header.set(header, value);
        return await next(request);
      };
      const client = createClient(InventoryService, transports[name]!([withHeaders]));
      const sku = unique("sku");
      return await client.importProducts(
        (async function* () {
          for (let index = 0; index < count; index++) {
            const price = { currencyCode: "EUR", minorUnits: 1n };
            yield { product: { sku: `${sku}-${index}`, name: "Imported", category: sku, price, stock: 1 } };
          }
          yield { product: { sku: `${sku}-0`, name: "n".repeat(201) } };
        })(),
      );
    };
    expect(await importAs(admin.headers, 300)).toMatchObject({ created: 300, refused: 1 });
    expect(await refusalOf(importAs({}, 1))).toMatchObject({ code: "Unauthenticated" });
    const customer = await signUp();
    expect(await refusalOf(importAs(customer.headers, 1))).toMatchObject({ reason: "ADMIN_REQUIRED" });
  });
});

describe("If-Match", () => {
  const send = async (method: string, path: string, ifMatch: string, body?: JsonObject) => {
    const response = await fetch(`${shop.url}${path}`, {
      method,
      headers: { ...admin.headers, "content-type": "application/json", "if-match": ifMatch },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: (await response.json()) as JsonObject };
  };

  test("changes and deletes only the version that was read: another version is 412 and changes nothing", async () => {
    const price = { currencyCode: "EUR", minorUnits: 1n };
    const { product } = await admin.inventory.createProduct({ product: { name: "Lamp", category: "Light", price } });
    const path = `/products/${product!.productId}`;
    const first = await send("PATCH", path, `"${product!.etag}"`, { name: "Lantern" });
    expect(first).toMatchObject({ status: 200, json: { name: "Lantern" } });
    const stale = { code: 10, details: [{ reason: "PRODUCT_CHANGED", metadata: { etag: first.json.etag } }] };
    expect(await send("PATCH", path, `"${product!.etag}"`, { name: "Torch" })).toMatchObject({
      status: 412,
      json: stale,
    });
    expect(await send("DELETE", path, `"${product!.etag}"`)).toMatchObject({ status: 412, json: stale });
    expect(await send("PATCH", path, "*", { name: "Torch" })).toMatchObject({ status: 200 });
    expect(await send("PATCH", path, "v1", { name: "Sun" })).toMatchObject({ status: 400 });
    expect(await send("DELETE", path, "*")).toMatchObject({ status: 200 });
    expect(await send("PATCH", path, "*", { name: "Sun" })).toMatchObject({ status: 404 });
  });
});

test("an archived product can be read, but neither found nor ordered; active again, it can be both", async () => {
  const buyer = await signUp();
  const category = unique("Archive");
  const price = { currencyCode: "EUR", minorUnits: 1n };
  const { product } = await admin.inventory.createProduct({ product: { name: "Lamp", category, price, stock: 3 } });
  const { productId } = product!;
  const move = async (state: string) =>
    await fetch(`${shop.url}/products/${productId}`, {
      method: "PATCH",
      headers: { ...admin.headers, "content-type": "application/json" },
      body: JSON.stringify({ state }),
    });
  expect((await anonymous.inventory.listProducts({ category })).products).toHaveLength(1);
  expect((await move("PRODUCT_STATE_ARCHIVED")).status).toBe(200);
  expect((await anonymous.inventory.getProductByID({ productId })).product?.name).toBe("Lamp");
  expect((await anonymous.inventory.listProducts({ category })).products).toEqual([]);
  expect((await anonymous.inventory.batchGetProducts({ productIds: [productId] })).products).toEqual([]);
  expect(await refusalOf(placeOrder(buyer, [product!, 1]))).toMatchObject({ reason: "PRODUCT_UNKNOWN" });
  expect((await move("PRODUCT_STATE_ACTIVE")).status).toBe(200);
  expect((await decided(buyer, await placeOrder(buyer, [product!, 1]))).status).toBe(2);
});

test("products are found without accents and marks, joined or split, by a word in the middle, and with a typing error", async () => {
  const category = unique("Épicerie");
  const names = ["Straße Łódź", "Οδυσσέας", "Màu Đỏ", "كِتَاب", "Levi's T-Shirt", "日本茶ギフト", "Thermomètre"];
  const price = { currencyCode: "EUR", minorUnits: 1n };
  for (const name of names) await admin.inventory.createProduct({ product: { name, category, price } });
  const namesOf = async (filters: Filters) => {
    const { products } = await anonymous.inventory.listProducts({ category, ...filters });
    return products.map(({ name }) => name);
  };
  const queries: Readonly<Record<string, readonly string[]>> = {
    "Straße Łódź": ["strasse", "STRASSE", "lodz", "stra\u200bsse"],
    Οδυσσέας: ["ΟΔΥΣ", "οδυσσεας"],
    "Màu Đỏ": ["mau do"],
    كِتَاب: ["كتاب"],
    "Levi's T-Shirt": ["levis", "levi’s", "tshirt", "t shirt", "tshirts"],
    日本茶ギフト: ["本茶", "ぎふ"],
    Thermomètre: ["termometre", "THERMOMETER"],
  };
  for (const [name, typed] of Object.entries(queries))
    for (const query of typed) expect(await namesOf({ query }), query).toEqual([name]);

  for (const blank of ["", "  ", "\u00a0\u3000", "\u200b"]) {
    expect((await namesOf({ query: blank })).toSorted(), JSON.stringify(blank)).toEqual(names.toSorted());
    expect(await namesOf({ name: blank }), JSON.stringify(blank)).toHaveLength(names.length);
  }
  expect(await namesOf({ category: category.toUpperCase().replace("É", "e") })).toHaveLength(names.length);
  expect(await namesOf({ currencyCode: "EUR", minPrice: 2n })).toEqual([]);
  const rest = await fetch(
    `${shop.url}/products?query=${encodeURIComponent("ΟΔΥΣ")}&category=${encodeURIComponent(category)}`,
  );
  expect(((await rest.json()) as { products: unknown[] }).products).toHaveLength(1);
});
