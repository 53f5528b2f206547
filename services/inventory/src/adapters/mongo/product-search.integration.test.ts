import { newId } from "@shop/core";
import { type Plan, silentLog, watchPlans } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import type { Listing, ListingOrder, ListingPosition } from "../../domain/listing.ts";
import { newProduct, type ProductDetails } from "../../domain/product.ts";
import { openTestInventory } from "../../testing/open-test-inventory.ts";
import { toDocument } from "./product-document.ts";
import { createProductSearch } from "./product-search.ts";
import { createProductStore, openProducts } from "./product-store.ts";
import { openVocabulary } from "./vocabulary.ts";

const everything: Listing = {
  query: undefined,
  name: undefined,
  category: undefined,
  attributes: [],
  prices: undefined,
  inStock: false,
  order: "relevance",
};

const plain: ProductDetails = {
  name: "Thing",
  description: "",
  category: "Things",
  price: { currencyCode: "EUR", minorUnits: 100n },
  sku: undefined,
  imageUrl: "",
  attributes: {},
  state: "active",
};

const idOf = (index: number) => `product_${String(index).padStart(26, "0")}`;

async function openSearch() {
  const opened = await openTestInventory();
  const { search, productDocuments, vocabulary } = opened;
  let count = 0;

  /** Inserts products directly into the database, the newest last. */
  async function fill(products: readonly (Partial<ProductDetails> & { readonly stock?: number })[]) {
    const now = new Date();
    const documents = products.map(({ stock = 1, ...details }) =>
      toDocument(newProduct(idOf(count++), { ...plain, ...details }, stock, now)),
    );
    await vocabulary.learn(documents);
    await productDocuments.insertMany(documents, { ordered: false });
  }

  const names = async (listing: Partial<Listing>) =>
    (await search.list({ ...everything, ...listing }, undefined, 100)).map(({ product }) => product.details.name);

  return { ...opened, fill, names };
}

const orders: readonly ListingOrder[] = ["relevance", "newest", "name", "name desc", "price", "price desc"];
const euros = { currencyCode: "EUR" };
const filters: Readonly<Record<string, Partial<Listing>>> = {
  nothing: {},
  "a word": { query: "kettle" },
  "the beginning of a word": { query: "ket" },
  "several words": { query: "red steel kettle" },
  "a SKU": { query: "sku-17" },
  "a name": { name: "ket st" },
  "a category": { category: "Category 3" },
  attributes: { attributes: ["color:red", "size:m"] },
  "a currency": { prices: euros },
  "a price range": { prices: { ...euros, from: 100n, to: 300n } },
  "a single price": { prices: { ...euros, from: 100n, to: 100n } },
  "a lowest price": { prices: { ...euros, from: 100n } },
  everything: {
    query: "kettle",
    name: "kettle",
    category: "Category 3",
    attributes: ["color:red"],
    prices: { ...euros, from: 1n },
  },
};

const sorted = {
  documents: expect.toSatisfy((count: number) => count <= 500),
  prices: expect.toSatisfy((range: Listing["prices"]) => range !== undefined && ("from" in range || "to" in range)),
};

test("every combination of filters and order reads its pages and its category counts by an index, without sorting many products", async () => {
  const { fill, search, productDocuments } = await openSearch();
  const plansOf = watchPlans(productDocuments);
  await fill(
    Array.from({ length: 1_200 }, (_, index) => ({
      name: `${index % 2 === 0 ? "Red" : "Blue"} Steel Kettle ${index % 7}`,
      description: "For tea",
      category: `Category ${index % 5}`,
      sku: `SKU-${index}`,
      price: { currencyCode: index % 9 === 0 ? "USD" : "EUR", minorUnits: BigInt(100 * (index % 11)) },
      attributes: { color: index % 2 === 0 ? "red" : "blue", size: "m" },
      stock: index % 4,
    })),
  );
  const seen: string[] = [];
  for (const [says, filter] of Object.entries(filters)) {
    for (const order of orders) {
      for (const inStock of [false, true]) {
        const listing = { ...everything, ...filter, order, inStock };
        let after: ListingPosition | undefined;
        const plans = await plansOf(async () => {
          after = (await search.list(listing, undefined, 10)).at(-1)?.position;
          await search.list(listing, after, 10);
          await search.countCategories(listing);
        });
        expect(after, `${says}, by ${order}: found nothing`).toBeDefined();
        expect(plans.length).toBeGreaterThanOrEqual(3);
        for (const { stages, documents } of plans) {
          const says = `${JSON.stringify(filter, (_, value) => (typeof value === "bigint" ? Number(value) : value))} ${order}: ${stages}`;
          expect(stages, says).toContain("IXSCAN");
          expect(stages, says).not.toContain("COLLSCAN");
          // The few products of a price range are sorted in memory; all else is read in the order of an index.
          if (stages.includes("SORT")) expect({ documents, prices: listing.prices }, says).toMatchObject(sorted);
        }
        seen.push(...plans.flatMap(({ stages }) => stages));
      }
    }
  }
  expect(new Set(seen)).toContain("SORT_MERGE");
}, 120_000);

test("page 1,000 of 20,000 products costs what page 1 does, in every order, and a search that takes too long is refused", async () => {
  const { fill, search, productDocuments, vocabulary, db } = await openSearch();
  await productDocuments.dropIndexes();
  for (let from = 0; from < 20_000; from += 10_000) {
    await fill(
      Array.from({ length: 10_000 }, (_, index) => ({
        name: `Kettle ${(from + index).toString(36)}`,
        category: `Category ${index % 20}`,
        price: { currencyCode: "EUR", minorUnits: BigInt((from + index) % 500) },
        stock: index % 10,
      })),
    );
  }
  await openProducts(db, vocabulary, silentLog);
  const hurried = createProductSearch({ products: productDocuments, vocabulary, maxTimeMs: 1 });
  await expect(hurried.countCategories(everything)).rejects.toMatchObject({ reason: "SEARCH_TOO_BROAD" });
  const plansOf = watchPlans(productDocuments);
  const pageSize = 20;
  for (const listing of [
    everything,
    { ...everything, query: "kettle" },
    { ...everything, order: "price" },
    { ...everything, order: "name desc" },
  ] as const) {
    const first = await plansOf(() => search.list(listing, undefined, pageSize));
    const seen = new Set<string>();
    let after: ListingPosition | undefined;
    while (seen.size < 999 * pageSize) {
      const page = await search.list(listing, after, 2_220);
      for (const { product } of page) seen.add(product.productId);
      after = page.at(-1)!.position;
    }
    expect(seen.size).toBe(999 * pageSize);
    const last: string[] = [];
    const plans = await plansOf(async () => {
      const page = await search.list(listing, after, pageSize);
      last.push(...page.map(({ product }) => product.productId));
    });
    expect(last.filter((productId) => !seen.has(productId))).toHaveLength(pageSize);

    const cost = (of: readonly Plan[]) => ({
      keys: of.reduce((sum, { keys }) => sum + keys, 0),
      documents: of.reduce((sum, { documents }) => sum + documents, 0),
    });
    const [one, thousand] = [cost(first), cost(plans)];
    expect(one.documents).toBe(pageSize);
    expect(thousand.documents).toBe(pageSize);
    expect(one.keys).toBeLessThan(pageSize + 20);
    expect(thousand.keys).toBeLessThan(pageSize + 20);
  }
}, 300_000);

test("a price filter with few or no matches reads as much of 20,000 products as of 1,000, with any other filter, in any order", async () => {
  const { fill, search, productDocuments } = await openSearch();
  const plansOf = watchPlans(productDocuments);
  const filled = async (from: number, until: number) =>
    await fill(
      Array.from({ length: until - from }, (_, index) => ({
        name: `Red Kettle ${(from + index).toString(36)}`,
        description: "Boils water",
        category: `Category ${(from + index) % 4}`,
        attributes: { color: "red" },
        // The prices have gaps, and each category has prices of its own.
        price: { currencyCode: "EUR", minorUnits: BigInt(100 * ((from + index) % 400)) },
        stock: index % 3,
      })),
    );
  const ranges: readonly NonNullable<Listing["prices"]>[] = [
    { ...euros, from: 1_000_000n },
    { ...euros, from: 101n, to: 199n },
    { currencyCode: "USD" },
    { currencyCode: "USD", from: 100n },
  ];
  const others: readonly Partial<Listing>[] = [
    {},
    { query: "kettle" },
    { query: "ket" },
    { query: "red kettle" },
    { query: "water" },
    { query: "kettel" },
    { name: "kettle" },
    { category: "Category 3" },
    { attributes: ["color:red"] },
    { category: "Category 3", query: "kettle" },
    { category: "Category 3", query: "red kettle", attributes: ["color:red"], name: "ket" },
  ];
  const shapes = others.flatMap((other) =>
    [false, true].flatMap((inStock) =>
      orders.flatMap((order) => [
        ...ranges.map((prices): Listing => ({ ...everything, ...other, inStock, order, prices })),
        // Prices of other categories.
        ...(other.category === undefined
          ? []
          : [{ ...everything, ...other, inStock, order, prices: { ...euros, from: 20_000n, to: 20_000n } }]),
      ]),
    ),
  );
  const costs = async () => {
    const costs: { keys: number; documents: number }[] = [];
    for (const listing of shapes) {
      const plans = await plansOf(async () => {
        expect(await search.list(listing, undefined, 21)).toEqual([]);
        const { counts } = await search.countCategories({ ...listing, prices: ranges[0] });
        expect(counts).toEqual([]);
      });
      costs.push({
        keys: plans.reduce((sum, { keys }) => sum + keys, 0),
        documents: plans.reduce((sum, { documents }) => sum + documents, 0),
      });
    }
    return costs;
  };
  await filled(0, 1_000);
  const few = await costs();
  await filled(1_000, 20_000);
  const many = await costs();
  for (const [index, listing] of shapes.entries()) {
    const says = JSON.stringify(listing, (_, value) => (typeof value === "bigint" ? Number(value) : value));
    expect(many[index]!.documents, says).toBe(0);
    expect(many[index]!.keys, says).toBeLessThanOrEqual(2 * few[index]!.keys + 1);
    expect(many[index]!.keys, says).toBeLessThan(100);
  }

  // Fifty products have one of these prices.
  for (const order of orders) {
    const listing: Listing = { ...everything, order, query: "kettle", prices: { ...euros, from: 1_050n, to: 1_150n } };
    const plans = await plansOf(async () => expect(await search.list(listing, undefined, 21)).toHaveLength(21));
    expect(
      plans.reduce((sum, { keys }) => sum + keys, 0),
      order,
    ).toBeLessThan(400);
    expect(
      plans.reduce((sum, { documents }) => sum + documents, 0),
      order,
    ).toBeLessThanOrEqual(100);
  }
}, 300_000);

test("results are ranked by relevance: exact SKU, words of the name, prefixes, then descriptions; each product occurs once", async () => {
  const { fill, names } = await openSearch();
  await fill([
    { name: "Saucer", description: "Goes with a tea cup" },
    { name: "Teapot" },
    { name: "Cup for Tea", sku: "B-1" },
    { name: "Coffee cup" },
    { name: "Tin", sku: "TEA-CUP" },
    { name: "Jar", sku: "JAR" },
    { name: "Tea Cup", description: "A cup for tea" },
    { name: "Teacups for cupboards" },
  ]);
  expect(await names({ query: "tea cup" })).toEqual([
    "Tin",
    "Tea Cup",
    "Cup for Tea",
    "Teacups for cupboards",
    "Saucer",
  ]);
  expect(await names({ query: "tea" })).toEqual([
    "Tea Cup",
    "Cup for Tea",
    "Teacups for cupboards",
    "Tin",
    "Teapot",
    "Saucer",
  ]);
  expect(await names({ query: "te" })).toEqual(["Teacups for cupboards", "Tea Cup", "Tin", "Cup for Tea", "Teapot"]);
  expect(await names({ query: "tea-CUP" })).toEqual(await names({ query: "tea cup" }));
  expect(await names({ query: "tea cup kettle" })).toEqual([]);
  expect(await names({ query: "jar" })).toEqual(["Jar"]);
});

/** By a name, queries that find it. */
const found: Readonly<Record<string, readonly string[]>> = {
  "Crème Brûlée Torch": ["creme", "CRÈME brulee", "bru", "cre\u0300me", "cremebrulee"],
  "Ｆｕｌｌ width": ["full", "FULL", "fullwidth"],
  Straße: ["strasse", "STRASSE", "straße", "STRAẞE", "stra"],
  Οδυσσέας: ["ΟΔΥΣ", "οδυς", "οδυσσεας", "ΟΔΥΣΣΕΑΣ"],
  Łódź: ["lodz", "ŁÓDŹ", "lod"],
  Smørrebrød: ["smorrebrod", "SMØRRE"],
  "Màu Đỏ": ["mau do", "MÀU ĐỎ", "do mau"],
  "Чёрный чай": ["черный", "ЧЕРНЫЙ ЧАЙ"],
  "Kılıç İstanbul": ["kilic", "KILIÇ", "istanbul"],
  "كِتَابٌ جديد": ["كتاب", "كـتاب", "كِتَاب"],
  ספר: ["סֵפֶר", "ספר"],
  שָׁלוֹם: ["שלום", "שלו"],
  "हिन्दी किताब": ["हिन्दी", "किताब"],
  "Levi's 501": ["levis", "levi's", "levi’s", "levi", "LEVI`S", "leviʼs 501"],
  "Cotton T-Shirt": ["tshirt", "t-shirt", "t shirt", "T‑SHIRT", "shirt", "tshi"],
  "Linen Tshirt": ["tshirt", "t-shirt", "t shirt"],
  "Wool T Shirt": ["tshirt", "t-shirt", "t shirt"],
  "Wi-Fi Router": ["wifi", "wi-fi", "wi fi", "WiFi router"],
  "AC/DC Adapter": ["acdc", "ac dc", "ac/dc"],
  "U.S.A. Flag": ["usa", "u.s.a.", "U.S.A flag"],
  "Ear­phones\u200b": ["earphones", "ear\u200bphones", "ear\u00adpho"],
  日本茶ギフトセット: ["日本", "日本茶", "本茶", "茶", "ギフト", "ぎふと", "ｾｯﾄ", "フトセ"],
  用于iPhone15的保护壳: ["保护壳", "护壳", "iphone", "iphone15", "iphone 15"],
  กาแฟสดคั่วบด: ["กาแฟ", "แฟสด", "คั่วบด"],
};

test("search ignores case, accents, marks, punctuation and invisible characters, and finds parts of words in scripts without blanks", async () => {
  const { fill, names } = await openSearch();
  await fill(Object.keys(found).map((name) => ({ name })));
  for (const [name, queries] of Object.entries(found)) {
    for (const query of queries) {
      expect(await names({ query }), query).toContain(name);
      expect(await names({ name: query }), query).toContain(name);
    }
  }
  expect(await names({ query: "茶本" })).toEqual([]);
  expect(await names({ query: "shirts wifi" })).toEqual([]);
  for (const query of ["%", ".*", "$", "^", "\\", "'"]) {
    expect(await names({ query }), query).toEqual([]);
    expect(await names({ name: query }), query).toEqual([]);
  }
});

test("words of descriptions match with or without their punctuation, and parts of SKUs with or without their dashes", async () => {
  const { fill, names } = await openSearch();
  await fill([
    { name: "Band", description: "As seen at Rock'n'Roll nights, via Wi-Fi" },
    { name: "Bolt", sku: "AB-12-c" },
  ]);
  for (const query of ["rock'n'roll", "rocknroll", "wifi", "wi-fi", "wi fi"])
    expect(await names({ query }), query).toEqual(["Band"]);
  for (const query of ["AB-12-C", "ab12c", "ab 12 c", "ab_12.c", "ab12", "12"])
    expect(await names({ query }), query).toEqual(["Bolt"]);
});

test("a word of five letters or more with one typing error finds products, ranked after exact matches", async () => {
  const { fill, names, search } = await openSearch();
  const euro = (minorUnits: bigint) => ({ price: { currencyCode: "EUR", minorUnits } });
  await fill([
    { name: "Thermometer", ...euro(1n) },
    { name: "Termometer", ...euro(2n) },
    { name: "Digital Thermometer", description: "With a battery", ...euro(3n) },
    { name: "Θερμόμετρο" },
    { name: "Lamp" },
    { name: "Ladle 12345" },
  ]);
  for (const query of ["themometer", "thermommeter", "thermoneter", "thermoemter", "thermometre", "THERMOMETÉRS"])
    expect(await names({ query }), query).toEqual(["Digital Thermometer", "Thermometer"]);
  expect(await names({ query: "θερμομτρο" })).toEqual(["Θερμόμετρο"]);
  expect(await names({ query: "batery" })).toEqual(["Digital Thermometer"]);
  expect(await names({ query: "digitl thermometer" })).toEqual(["Digital Thermometer"]);
  expect(await names({ query: "digitl termometre" })).toEqual([]);
  expect(await names({ query: "termometer" })).toEqual(["Termometer", "Digital Thermometer", "Thermometer"]);
  expect(await names({ query: "thermometer" })).toEqual(["Digital Thermometer", "Thermometer", "Termometer"]);
  expect(await names({ query: "termometer", order: "price" })).toEqual(["Termometer"]);
  expect(await names({ query: "themometer", order: "price" })).toEqual(["Thermometer", "Digital Thermometer"]);
  expect((await search.countCategories({ ...everything, query: "themometer" })).counts).toHaveLength(1);
  for (const query of ["thxrmomxter", "lmap", "12346", "ladle 12346"])
    expect(await names({ query }), query).toEqual([]);

  for (const order of ["relevance", "price"] as const) {
    const query = order === "relevance" ? "termometer" : "themometer";
    const paged: string[] = [];
    let after: ListingPosition | undefined;
    for (;;) {
      const page = await search.list({ ...everything, query, order }, after, 1);
      if (page.length === 0) break;
      paged.push(...page.map(({ product }) => product.details.name));
      after = page.at(-1)!.position;
    }
    expect(paged).toEqual(await names({ query, order }));
  }
});

test("typing errors are corrected from the moment a product is added, changed or undeleted", async () => {
  const { ledger, products, productDocuments, names, db } = await openSearch();
  const added = newProduct(newId("product"), { ...plain, name: "Colander" }, 1, new Date());
  await ledger.insertProducts([added], "test");
  expect(await names({ query: "colandre" })).toEqual(["Colander"]);
  const changed = await products.update(added, { ...added.details, name: "Strainer" }, new Date());
  expect(await names({ query: "straimer" })).toEqual(["Strainer"]);
  await products.updateMany([{ read: changed!, details: { ...added.details, name: "Drainer" } }], new Date());
  expect(await names({ query: "drianer" })).toEqual(["Drainer"]);
  await products.remove(added.productId, undefined, new Date());
  expect(await names({ query: "drianer" })).toEqual([]);
  await db.collection("words").deleteMany({});
  const vocabulary = await openVocabulary(db);
  await createProductStore(productDocuments, vocabulary, () => {}).restore(added.productId, new Date());
  expect(await names({ query: "drianer" })).toEqual(["Drainer"]);
});

test("each filter excludes products that do not match it, and combined filters exclude products that do not match all", async () => {
  const { fill, names } = await openSearch();
  const red = { color: "red", size: "m" };
  await fill([
    { name: "A", category: "Cups", attributes: red, price: { currencyCode: "EUR", minorUnits: 100n }, stock: 0 },
    { name: "B", category: "Cups", attributes: red, price: { currencyCode: "EUR", minorUnits: 200n } },
    { name: "C", category: "Cups", attributes: { color: "blue" }, price: { currencyCode: "USD", minorUnits: 200n } },
    { name: "D", category: "Pots", attributes: red, price: { currencyCode: "EUR", minorUnits: 300n } },
    { name: "E", category: "Cups", attributes: red, state: "archived" },
  ]);
  expect(await names({ category: "Cups" })).toEqual(["C", "B", "A"]);
  expect(await names({ category: "cups" })).toEqual(["C", "B", "A"]);
  expect(await names({ category: "Cup" })).toEqual([]);
  expect(await names({ attributes: ["color:red", "size:m"] })).toEqual(["D", "B", "A"]);
  expect(await names({ attributes: ["color:RED"] })).toEqual(["D", "B", "A"]);
  expect(await names({ attributes: ["color:red", "size:l"] })).toEqual([]);
  expect(await names({ inStock: true })).toEqual(["D", "C", "B"]);
  expect(await names({ prices: euros })).toEqual(["D", "B", "A"]);
  expect(await names({ prices: { ...euros, from: 200n } })).toEqual(["D", "B"]);
  expect(await names({ prices: { ...euros, from: 100n, to: 200n } })).toEqual(["B", "A"]);
  expect(await names({ prices: { currencyCode: "USD", to: 200n } })).toEqual(["C"]);
  expect(
    await names({ category: "Cups", attributes: ["color:red"], inStock: true, prices: { ...euros, from: 1n } }),
  ).toEqual(["B"]);
});

test("products are sorted by name, by price within each currency, or newest first, and pages of any size have no gap or overlap", async () => {
  const { fill, names, search } = await openSearch();
  await fill([
    { name: "émile", price: { currencyCode: "USD", minorUnits: 1n } },
    { name: "Zoe", price: { currencyCode: "EUR", minorUnits: 20n } },
    { name: "Anna", price: { currencyCode: "EUR", minorUnits: 9n }, stock: 0 },
    { name: "eve", price: { currencyCode: "EUR", minorUnits: 20n } },
    { name: "Émile", price: { currencyCode: "EUR", minorUnits: 1_000n } },
  ]);
  const expected: Readonly<Record<string, readonly string[]>> = {
    newest: ["Émile", "eve", "Anna", "Zoe", "émile"],
    name: ["Anna", "émile", "Émile", "eve", "Zoe"],
    "name desc": ["Zoe", "eve", "Émile", "émile", "Anna"],
    price: ["Anna", "Zoe", "eve", "Émile", "émile"],
    "price desc": ["émile", "Émile", "eve", "Zoe", "Anna"],
  };
  for (const [order, inOrder] of Object.entries(expected)) {
    const listing = { ...everything, order: order as ListingOrder };
    expect(await names(listing), order).toEqual(inOrder);
    for (const size of [1, 2, 3]) {
      const paged: string[] = [];
      let after: ListingPosition | undefined;
      for (;;) {
        const page = await search.list(listing, after, size);
        if (page.length === 0) break;
        paged.push(...page.map(({ product }) => product.details.name));
        after = page.at(-1)!.position;
      }
      expect(paged, `${order}, ${size} at once`).toEqual(inOrder);
    }
  }
  expect(await names({ order: "price", prices: { ...euros, from: 20n, to: 20n } })).toEqual(["Zoe", "eve"]);
});

test("pages by relevance continue through the tiers without gap or repetition while products are added", async () => {
  const { fill, search } = await openSearch();
  await fill(Array.from({ length: 9 }, (_, index) => ({ name: index % 2 === 0 ? `Tea ${index}` : `Teapot ${index}` })));
  const paged: string[] = [];
  let after: ListingPosition | undefined;
  for (let round = 0; ; round++) {
    const page = await search.list({ ...everything, query: "tea" }, after, 2);
    if (page.length === 0) break;
    paged.push(...page.map(({ product }) => product.details.name));
    after = page.at(-1)!.position;
    await fill([{ name: `Tea new ${round}` }]);
  }
  expect(paged).toEqual(["Tea 8", "Tea 6", "Tea 4", "Tea 2", "Tea 0", "Teapot 7", "Teapot 5", "Teapot 3", "Teapot 1"]);
});

test("categories are counted over products that match all other filters, largest first, up to 10,000 products", async () => {
  const { fill, search } = await openSearch();
  await fill([
    { name: "Tea cup", category: "Cups" },
    { name: "Tea mug", category: "Cups", stock: 0 },
    { name: "Teapot", category: "Pots" },
    { name: "Kettle", category: "Pots" },
  ]);
  const countsOf = async (listing: Partial<Listing>) => await search.countCategories({ ...everything, ...listing });
  expect(await countsOf({ query: "tea", category: "Pots" })).toEqual({
    counts: [
      { category: "Cups", count: 2 },
      { category: "Pots", count: 1 },
    ],
    isPartial: false,
  });
  expect((await countsOf({ inStock: true })).counts).toEqual([
    { category: "Pots", count: 2 },
    { category: "Cups", count: 1 },
  ]);
  expect((await countsOf({ query: "?" })).counts).toEqual([]);
  await fill(Array.from({ length: 10_050 }, () => ({ category: "Many" })));
  const { counts, isPartial } = await countsOf({});
  expect(isPartial).toBe(true);
  expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(10_001);
});

test("products of a release without search are found after a start", async () => {
  const { productDocuments, names, db, products, vocabulary } = await openSearch();
  const { terms, name_key, in_stock, state, image_url, attributes, ...earlier } = toDocument(
    newProduct(idOf(1), { ...plain, name: "Old $kettle" }, 3, new Date()),
  );
  const gone = { ...earlier, _id: idOf(2), active: false };
  await productDocuments.insertMany([earlier, gone] as never);
  expect(await names({})).toEqual([]);
  await openProducts(db, vocabulary, silentLog);
  expect(await names({ query: "kettle", inStock: true })).toEqual(["Old $kettle"]);
  expect((await products.restore(idOf(2), new Date()))?.details.name).toBe("Old $kettle");
  expect(await names({})).toHaveLength(2);
});

test("products with outdated terms are indexed again at a start, which continues an interrupted one", async () => {
  const { productDocuments, names, search, db, vocabulary } = await openSearch();
  const products = Array.from({ length: 1_100 }, (_, index) => {
    const details = { ...plain, name: `Straße ${index}`, category: "Cups" };
    const archived = index === 1_099;
    return {
      ...toDocument(newProduct(idOf(index), details, 1, new Date())),
      state: archived ? ("archived" as const) : ("active" as const),
      terms: archived ? [] : ["*", "c:Cups", "w:straße", `w:${index}`],
      name_key: `straße ${index}`,
    };
  });
  await productDocuments.insertMany(products);
  expect(await names({ query: "strasse" })).toEqual([]);

  let batches = 0;
  const dying = {
    async learn(some: Parameters<typeof vocabulary.learn>[0]) {
      if (batches++ > 0) throw new Error("the process dies");
      await vocabulary.learn(some);
    },
  };
  await expect(openProducts(db, dying, silentLog)).rejects.toThrow("the process dies");
  expect(await productDocuments.countDocuments({ terms: "*" })).toBe(599);

  const learned: number[] = [];
  const counting = {
    async learn(some: Parameters<typeof vocabulary.learn>[0]) {
      learned.push(some.length);
      await vocabulary.learn(some);
    },
  };
  const warn = vi.fn();
  await Promise.all([
    openProducts(db, counting, { ...silentLog, info: () => {}, warn } as unknown as typeof silentLog),
    openProducts(db, vocabulary, silentLog),
  ]);
  expect(warn).toHaveBeenCalledWith({ progress: true, indexed: 0 }, expect.stringContaining("before serving"));
  expect(Math.max(...learned)).toBeLessThanOrEqual(500);
  expect(await productDocuments.countDocuments({ terms: "*" })).toBe(0);
  expect(await search.list({ ...everything, query: "STRASSE", category: "cups" }, undefined, 2_000)).toHaveLength(
    1_099,
  );
  expect(await names({ query: "strase", category: "CUPS" })).toHaveLength(100);

  const written = learned.length;
  await openProducts(db, counting, silentLog);
  expect(learned).toHaveLength(written);
});
