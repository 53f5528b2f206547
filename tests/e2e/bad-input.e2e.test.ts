import { globSync, readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { DescMethodUnary, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { beforeAll, describe, expect, test } from "vitest";
import { runningProcesses } from "../setup/shop.ts";
import { nameOf } from "./clients.ts";
import { snakeCased } from "./json-names.ts";
import { refusalOf } from "./refusal.ts";
import { queryString, restCalls } from "./rest-routes.ts";
import { type Account, addProduct, anonymous, password, shop, signInAdmin, signUp, unique } from "./shopping.ts";

let admin: Account;
let customer: Account;
let productId: string;
let before: { readonly catalogue: unknown; readonly processes: unknown; readonly failures: readonly string[] };

beforeAll(async () => {
  [admin, customer] = await Promise.all([signInAdmin(), signUp()]);
  productId = (await addProduct(admin, { stock: 1_000 })).productId;
  before = { catalogue: await readCatalogue(), processes: readProcesses(), failures: failuresLogged() };
});

async function readCatalogue(): Promise<unknown> {
  const all: unknown[] = [];
  let pageToken = "";
  do {
    const page = await anonymous.inventory.listProducts({ pageSize: 100, pageToken });
    all.push(...page.products.map(({ productId, etag, stock }) => [productId, etag, stock]));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

const readProcesses = () => runningProcesses(shop.dataDir).map(({ name, pid }) => [name, pid]);

/** The error lines in our processes' logs: unexpected failures. */
function failuresLogged(): string[] {
  const ours = /^(all-in-one|gateway|users|inventory|orders)\.log$/;
  return globSync(join(shop.dataDir, "logs/*.log"))
    .filter((file) => ours.test(basename(file)))
    .flatMap((file) => readFileSync(file, "utf8").split("\n"))
    .filter((line) => /"level":"(error|fatal)"/.test(line));
}

// In protobuf JSON; REST requests are built from it by hand. Fields are named as in the schema.
interface BadRequestCase {
  readonly says: string;
  readonly method: DescMethodUnary;
  readonly request: () => JsonObject;
  readonly blames: readonly string[];
}

const control = "\u0007";
const username = unique("bad");
const { register } = UserService.method;
const { createProduct, listProducts, getProductByID, updateProduct } = InventoryService.method;
const { createOrder, updateOrderStatus, getOrderByID, getOrdersByUser } = OrderService.method;

const registering = (says: string, change: JsonObject, ...blames: string[]): BadRequestCase => ({
  says: `Register with ${says}`,
  method: register,
  request: () => ({ username, password, ...change }),
  blames,
});
const creating = (says: string, change: JsonObject, ...blames: string[]): BadRequestCase => ({
  says: `CreateProduct with ${says}`,
  method: createProduct,
  request: () => ({
    product: { name: "Bad", category: "Bad", price: { currencyCode: "EUR", minorUnits: 1 }, ...change },
  }),
  blames,
});
const price = (change: JsonObject): JsonObject => ({ price: { currencyCode: "EUR", minorUnits: 1, ...change } });
const ordering = (says: string, items: () => JsonValue, ...blames: string[]): BadRequestCase => ({
  says: `CreateOrder with ${says}`,
  method: createOrder,
  request: () => ({ items: items() }),
  blames,
});
const quantity = (says: string, value: JsonValue) =>
  ordering(
    `a quantity of ${says}`,
    () => [
      { productId, quantity: 1 },
      { productId, quantity: value },
    ],
    "items[1].quantity",
  );
const productOf = (says: string, id: JsonValue) =>
  ordering(`a product id that is ${says}`, () => [{ productId: id, quantity: 1 }], "items[0].product_id");

const cases: readonly BadRequestCase[] = [
  registering("no name", { username: "" }, "username"),
  registering("a name of two letters", { username: "ab" }, "username"),
  registering("a name of 65 letters", { username: "n".repeat(65) }, "username"),
  registering("a name of 100,000 letters", { username: "n".repeat(100_000) }, "username"),
  registering("a name with a blank", { username: `${username} x` }, "username"),
  registering("a name with a control character", { username: `${username}${control}` }, "username"),
  registering("a name with a NUL", { username: `${username}\0` }, "username"),
  registering("a name that ends in a line break", { username: `${username}\n` }, "username"),
  registering("a name with a letter that looks like another", { username: `${username}\u0430` }, "username"),
  registering("a password of 7 characters", { password: "1234567" }, "password"),
  registering("a password of 130 bytes in 65 characters", { password: "ü".repeat(65) }, "password"),
  registering("no password", { password: "" }, "password"),
  registering("a number instead of a name", { username: 12345 }, "username"),
  registering("an object instead of a password", { password: { $ne: "" } }, "password"),
  registering("an unknown field", { role: "ROLE_ADMIN" }, "role"),

  creating("no name", { name: "" }, "product.name"),
  creating("a name of blanks", { name: " \t " }, "product.name"),
  creating("a name of 201 characters", { name: "n".repeat(201) }, "product.name"),
  creating("a name with a control character", { name: `Tea${control}pot` }, "product.name"),
  creating("a name with a NUL", { name: "Tea\0pot" }, "product.name"),
  creating("no category", { category: "" }, "product.category"),
  creating("a category of 101 characters", { category: "c".repeat(101) }, "product.category"),
  creating("a category with a line break", { category: "Kit\nchen" }, "product.category"),
  creating("a description of 5,001 characters", { description: "d".repeat(5_001) }, "product.description"),
  creating("no price", { price: null }, "product.price"),
  creating("a negative price", price({ minorUnits: -1 }), "product.price.minor_units"),
  creating("a fraction as a price", price({ minorUnits: 12.5 }), "product.price.minor_units"),
  creating("a price over 10^12", price({ minorUnits: "1000000000001" }), "product.price.minor_units"),
  creating("a price of 2^63", price({ minorUnits: "9223372036854775808" }), "product.price.minor_units"),
  creating("a text as a price", price({ minorUnits: "ten" }), "product.price.minor_units"),
  creating("an invalid currency code", price({ currencyCode: "euro" }), "product.price.currency_code"),
  creating("no currency", price({ currencyCode: "" }), "product.price.currency_code"),
  creating("a negative stock", { stock: -5 }, "product.stock"),
  creating("a fraction as stock", { stock: 1.5 }, "product.stock"),
  creating("a stock of 2^31", { stock: 2 ** 31 }, "product.stock"),
  creating("a stock over 10^9", { stock: 1_000_000_001 }, "product.stock"),
  creating("a SKU with a blank", { sku: "a b" }, "product.sku"),
  creating("a SKU of 65 characters", { sku: "s".repeat(65) }, "product.sku"),
  creating("an unknown field", { discount: 5 }, "product.discount"),
  {
    says: "UpdateProduct with a control character in the name",
    method: updateProduct,
    request: () => ({ product: { productId, name: `Tea${control}pot` }, updateMask: "name" }),
    blames: ["product.name"],
  },
  {
    says: "UpdateProduct with a malformed id",
    method: updateProduct,
    request: () => ({ product: { productId: "42", name: "Teapot" }, updateMask: "name" }),
    blames: ["product.product_id"],
  },

  ordering("no lines", () => [], "items"),
  ordering("101 lines", () => Array.from({ length: 101 }, () => ({ productId, quantity: 1 })), "items"),
  quantity("0", 0),
  quantity("-5", -5),
  quantity("1.5", 1.5),
  quantity("1,000,001", 1_000_001),
  quantity("2^31 - 1", 2 ** 31 - 1),
  quantity("2^31", 2 ** 31),
  quantity("2^53", 2 ** 53),
  quantity("a word", "many"),
  quantity("nothing", null),
  ordering(
    "two lines of one product that together exceed the maximum",
    () => [
      { productId, quantity: 600_000 },
      { productId, quantity: 600_000 },
    ],
    "items",
  ),
  productOf("empty", ""),
  productOf("a number", 42),
  productOf("in capitals", "PRODUCT_01H455VB4PEX5VSKNK084SN02Q"),
  productOf("too short", "product_01h455vb4pex5vsknk084sn02"),
  productOf("another kind's", "order_01h455vb4pex5vsknk084sn02q"),
  productOf("followed by a line break", "product_01h455vb4pex5vsknk084sn02q\n"),
  productOf("a query", { $gt: "" }),
  productOf("unknown", "product_01h455vb4pex5vsknk084sn02q"),
  ordering(
    "a price of its own",
    () => [{ productId, quantity: 1, unitPrice: { currencyCode: "EUR", minorUnits: 1 } }],
    "items[0].unit_price",
  ),
  {
    says: "CreateOrder with another user's id",
    method: createOrder,
    request: () => ({ items: [{ productId, quantity: 1 }], userId: "user_01h455vb4pex5vsknk084sn02q" }),
    blames: ["user_id"],
  },

  ...["ORDER_STATUS_LOST", 99, "ORDER_STATUS_UNSPECIFIED"].map((status) => ({
    says: `UpdateOrderStatus to ${status}`,
    method: updateOrderStatus,
    request: () => ({ orderId: "order_01h455vb4pex5vsknk084sn02q", status }),
    blames: ["status"],
  })),
  ...["42", "order_", "..", "%2e%2e", "product_01h455vb4pex5vsknk084sn02q", "x".repeat(3_000)].map((orderId) => ({
    says: `GetOrderByID of ${orderId.slice(0, 40)}`,
    method: getOrderByID,
    request: () => ({ orderId }),
    blames: ["order_id"],
  })),
  ...["42", "product_", "PRODUCT_01H455VB4PEX5VSKNK084SN02Q", "a\0b", "'; drop table products"].map((id) => ({
    says: `GetProductByID of ${JSON.stringify(id)}`,
    method: getProductByID,
    request: () => ({ productId: id }),
    blames: ["product_id"],
  })),
  ...[listProducts, getOrdersByUser].flatMap((method) =>
    [-1, 101, 2 ** 31, 1.5, "ten"].map((pageSize) => ({
      says: `${method.name} of pages of ${pageSize}`,
      method,
      request: () => ({ pageSize }),
      blames: ["page_size"],
    })),
  ),
  ...[listProducts, getOrdersByUser].flatMap((method) =>
    ["x", "AAAA", "p".repeat(1_001), "../../etc/passwd"].map((pageToken) => ({
      says: `${method.name} with the page token ${pageToken.slice(0, 20)}`,
      method,
      request: () => ({ pageToken }),
      blames: ["page_token"],
    })),
  ),
  {
    says: "ListProducts with a name of 201 characters",
    method: listProducts,
    request: () => ({ name: "n".repeat(201) }),
    blames: ["name"],
  },
];

interface Refused {
  readonly status: number;
  readonly code: unknown;
  readonly message: unknown;
  readonly violations: readonly { readonly field?: string; readonly description?: string }[];
}

/** Customers order; the administrator makes all other calls that need an account. */
const headersFor = (method: DescMethodUnary) => ({
  ...(method === createOrder ? customer : admin).headers,
  "content-type": "application/json",
});

async function overConnect({ method, request }: BadRequestCase): Promise<Refused> {
  const response = await fetch(`${shop.url}/${nameOf(method)}`, {
    method: "POST",
    headers: headersFor(method),
    body: JSON.stringify(request()),
  });
  const { code, message, details = [] } = (await response.json()) as JsonObject;
  const violations = (details as JsonObject[])
    .filter(({ type }) => type === "google.rpc.BadRequest")
    .flatMap(({ debug }) => (debug as JsonObject).fieldViolations as JsonObject[]);
  return { status: response.status, code, message, violations };
}

async function overRest({ method, request }: BadRequestCase): Promise<Refused> {
  const { verb, path, query, body } = restCalls[nameOf(method)]!(snakeCased(request()) as JsonObject);
  const safePath = path.split("/").map(encodeURIComponent).join("/");
  const response = await fetch(`${shop.url}${safePath}${queryString(query)}`, {
    method: verb,
    headers: headersFor(method),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { code, message, details = [] } = (await response.json()) as JsonObject;
  const violations = (details as JsonObject[])
    .filter((detail) => detail["@type"] === "type.googleapis.com/google.rpc.BadRequest")
    .flatMap((detail) => detail.field_violations as JsonObject[]);
  return { status: response.status, code, message, violations };
}

describe.for([
  ["REST", overRest, 3],
  ["Connect JSON", overConnect, "invalid_argument"],
] as const)("bad input is refused with the invalid field named, in %s:", ([protocol, send, code]) => {
  // HTTP clients normalize some paths, which then can't be sent over REST.
  const sendable = cases.filter(({ says }) => protocol !== "REST" || !/ of \.\.$/.test(says));
  test.for(sendable.map((one) => [one.says, one] as const))("%s", async ([, one]) => {
    const refused = await send(one);
    expect(refused).toMatchObject({ status: 400, code, message: expect.stringMatching(/\w{3}/) });
    // An unknown field is named as it was sent: over Connect in lowerCamelCase.
    const blamed = refused.violations.map(({ field }) =>
      String(field).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    );
    expect(blamed, JSON.stringify(refused)).toEqual(expect.arrayContaining([...one.blames]));
    for (const { description } of refused.violations) expect(description).toMatch(/\w{3}/);
    expect(JSON.stringify(refused)).not.toContain("regex");
  });
});

describe("an unreadable body is refused:", () => {
  const good = () => JSON.stringify({ items: [{ product_id: productId, quantity: 1 }] });
  const goodConnect = () => JSON.stringify({ items: [{ productId, quantity: 1 }] });
  const paths = { REST: "/orders", "Connect JSON": `/${nameOf(createOrder)}` } as const;

  async function post(path: string, body: string | Buffer, headers: Record<string, string> = {}) {
    const response = await fetch(`${shop.url}${path}`, {
      method: "POST",
      headers: { ...customer.headers, "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : new Uint8Array(body),
    });
    const text = await response.text();
    return { status: response.status, text };
  }

  describe.for(Object.entries(paths))("in %s", ([protocol, path]) => {
    test.for<readonly [string, string]>([
      ["truncated JSON", '{"items": ['],
      ["no JSON", "items=1"],
      ["JSON with a trailing comma", '{"items": [],}'],
      ["an array", "[]"],
      ["a string", '"order"'],
      ["a number", "7"],
      ["null", "null"],
      ["nothing", ""],
      ["blanks", "   "],
      ["100,000 brackets", "[".repeat(100_000)],
      ["100,000 nested objects", '{"items":'.repeat(50_000)],
      ["the same field twice", '{"items":[],"items":[]}'],
      ["a prototype", '{"__proto__":{"items":[]}}'],
      ["a constructor", '{"constructor":{"prototype":{}}}'],
      ["half a character", '{"items":"\\ud800"}'],
    ])("%s: 400", async ([, body]) => {
      const { status, text } = await post(path, body);
      expect(status, text).toBe(400);
      expect(JSON.parse(text)).toMatchObject({ message: expect.stringMatching(/\w{3}/) });
    });

    test("bytes that are not UTF-8: 400", async () => {
      const { status, text } = await post(path, Buffer.from('{"items":"\xff\xfe"}', "latin1"));
      expect(status, text).toBe(400);
    });

    test("another content type, or none: 415", async () => {
      for (const type of ["text/plain", "text/html", "application/xml", "multipart/form-data; boundary=x"]) {
        expect((await post(path, good(), { "content-type": type })).status, type).toBe(415);
      }
      const untyped = await fetch(`${shop.url}${path}`, {
        method: "POST",
        headers: customer.headers,
        body: new Blob([good()]),
      });
      expect(untyped.status).toBe(415);
    });

    test("more than 1 MiB, with or without a length, plain or compressed, is too large", async () => {
      const large = Buffer.from(`{"items":[${" ".repeat(1024 * 1024)}]}`);
      const tooLarge = protocol === "REST" ? 413 : 429;
      const announced = await post(path, large);
      expect(announced.status).toBe(tooLarge);
      expect(announced.text).toMatch(/1048576/);
      expect((await post(path, gzipSync(large), { "content-encoding": "gzip" })).status).toBe(tooLarge);
      expect(await postInChunks(path, large)).toBe(tooLarge);
    });

    test("almost 1 MiB, most of it whitespace, is read", async () => {
      const { status, text } = await post(path, `{${" ".repeat(1_000_000)}"items":[]}`);
      expect(status).toBe(400);
      expect(text).toContain("items");
    });

    test("broken gzip and an unknown encoding: a client's error", async () => {
      const body = protocol === "REST" ? good() : goodConnect();
      const broken = await post(path, Buffer.from("not gzip at all"), { "content-encoding": "gzip" });
      expect(broken.status, broken.text).toBe(400);
      const unknown = await post(path, body, { "content-encoding": "x-zip" });
      expect(unknown.status, unknown.text).toBeGreaterThanOrEqual(400);
      expect([415, 501, 404]).toContain(unknown.status);
    });
  });

  /** Sends a body without a Content-Length; returns the status. */
  function postInChunks(path: string, body: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(`${shop.url}${path}`, {
        method: "POST",
        headers: { ...customer.headers, "content-type": "application/json", "transfer-encoding": "chunked" },
      });
      outgoing.once("response", (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }
});

describe("an invalid path is refused:", () => {
  test.for([
    ["/products/%", 400],
    ["/products/%zz", 400],
    ["/products/%ff", 400],
    ["/products/%00", 400],
    ["/products/a/b", 404],
    ["//products", 404],
    ["/products/", 404],
    [`/${"/".repeat(2_000)}`, 404],
    [`/products/${"x".repeat(9_000)}`, 400],
    ["/products?page_size=1&page_size=2", 400],
    ["/products?nonsense=1", 400],
    ["/products?page_size=", 400],
    ["/products?page_size=1e1", 400],
    ["/products?name=%ff", 400],
    ["/shop.orders.v1.OrderService/NoSuchMethod", 404],
    ["/shop.orders.v1.NoSuchService/CreateOrder", 404],
  ] as const)("%s with %i", async ([path, status]) => {
    // fetch would normalize the path.
    const answered = await new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(shop.url);
      const outgoing = httpRequest({ hostname, port, path, method: "GET" }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      outgoing.once("error", reject);
      outgoing.end();
    });
    expect(answered).toBe(status);
  });
});

describe("after all of these requests", () => {
  test("no account was created", async () => {
    for (const spelling of [username, `${username} x`, `${username}\n`]) {
      expect(await refusalOf(anonymous.users.authenticate({ username: spelling, password }))).toMatchObject({
        reason: "WRONG_CREDENTIALS",
      });
    }
  });

  test("no product was created or changed, and no stock was reserved", async () => {
    expect(await readCatalogue()).toEqual(before.catalogue);
  });

  test("no order was placed", async () => {
    expect((await customer.orders.getOrdersByUser({})).orders).toEqual([]);
  });

  test("every process still runs, and none has logged an unexpected failure", async () => {
    expect(readProcesses()).toEqual(before.processes);
    expect(failuresLogged()).toEqual(before.failures);
    expect((await fetch(`${shop.url}/readyz`)).status).toBe(200);
  });
});
