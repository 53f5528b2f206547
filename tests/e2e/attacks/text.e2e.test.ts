import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AnyMethod, protocols } from "../clients.ts";
import { eventually } from "../eventually.ts";
import { refusalOf } from "../refusal.ts";
import {
  type Account,
  addProduct,
  anonymous,
  decided,
  password,
  placeOrder,
  shop,
  signIn,
  signInAdmin,
  signUp,
  unique,
} from "../shopping.ts";

let admin: Account;
let customer: Account;
let productId: string;
let orderId: string;

beforeAll(async () => {
  [admin, customer] = await Promise.all([signInAdmin(), signUp()]);
  const product = await addProduct(admin);
  productId = product.productId;
  orderId = (await decided(customer, await placeOrder(customer, [product, 1]))).orderId;
});

const clients = Object.values(protocols).map((open) => open(shop.url));
afterAll(() => {
  for (const client of clients) client.close();
});

const newProduct = (details: JsonObject) => ({
  product: { name: "Pot", category: "Kitchen", price: { currencyCode: "EUR", minorUnits: "1250" }, ...details },
});

/** Requests that would store a text, by the field that the error names. */
const kept: readonly (readonly [field: string, method: AnyMethod, as: () => Account, (text: string) => JsonObject])[] =
  [
    [
      "profile.display_name",
      UserService.method.updateUserProfile,
      () => customer,
      (displayName) => ({ profile: { userId: customer.userId, displayName }, updateMask: "displayName" }),
    ],
    ...["name", "description", "category"].map(
      (field) =>
        [
          `product.${field}`,
          InventoryService.method.createProduct,
          () => admin,
          (text: string) => newProduct({ [field]: text }),
        ] as const,
    ),
    [
      'product.attributes["color"]',
      InventoryService.method.createProduct,
      () => admin,
      (color) => newProduct({ attributes: { color } }),
    ],
    ["reason", InventoryService.method.adjustStock, () => admin, (reason) => ({ productId, onHandDelta: 1, reason })],
    ["reason", OrderService.method.cancelOrder, () => customer, (reason) => ({ orderId, reason })],
    [
      "reason",
      OrderService.method.updateOrderStatus,
      () => admin,
      (reason) => ({ orderId, status: "ORDER_STATUS_SHIPPED", reason }),
    ],
  ];

const refusedCharacters = ["\0", "\b", "\x1b[31m", "\x7f", "\x85", "\x9b", "\u202a", "\u202e", "\u2066", "\u2069"];

// The gateway forwards text without reading it, so one protocol is enough there.
describe.each(shop.topology === "split" ? clients.slice(0, 1) : clients)("over $name", (client) => {
  test.for(kept)("%s is refused with control and direction characters", async ([field, method, as, of]) => {
    for (const character of refusedCharacters)
      expect(
        await client.call({ method, request: of(`Tea${character}pot`), headers: as().headers }),
        JSON.stringify(character),
      ).toMatchObject({ error: { code: "InvalidArgument", reason: "INVALID_FIELDS", violations: [field] } });
  });

  test("invisible characters are removed from stored text, except those that scripts need", async () => {
    const needed = "می\u200cخواهم 👩\u200d💻 \u200eabc\u200f";
    const { message } = (await client.call({
      method: InventoryService.method.createProduct,
      headers: admin.headers,
      request: newProduct({
        name: "\ufeffTea\u200bpo\u2060t",
        description: `one\r\n\ttwo\u200b\n${needed}`,
        attributes: { color: `\u2060${needed}` },
      }),
    })) as { message: { product: JsonObject } };
    expect(message.product).toMatchObject({
      name: "Teapot",
      description: `one\r\n\ttwo\n${needed}`,
      attributes: { color: needed },
    });
  });

  test("stored text is normalized: composed, trimmed, and with one space for each run of whitespace", async () => {
    const add = async (product: JsonObject) => {
      const method = InventoryService.method.createProduct;
      return await client.call({ method, headers: admin.headers, request: newProduct(product) });
    };
    const category = unique("Cafe\u0301");
    const sku = unique("form");
    const added = await add({
      name: "\u3000Tea\u00a0\u2003 po\u0308t\t\n",
      description: " one\n\n\ttwo\u00a0 \u1100\u1161 ",
      category: ` ${category}`,
      sku: `\u00a0${sku}\u2009`,
      attributes: { color: "dark\u202f\u202fred" },
    });
    const composed = category.normalize("NFC");
    expect(added).toMatchObject({
      message: {
        product: {
          name: "Tea p\u00f6t",
          description: "one\n\n\ttwo\u00a0 \uac00",
          category: composed,
          sku,
          attributes: { color: "dark red" },
        },
      },
    });
    expect(await add({ category: composed.toUpperCase(), sku: sku.toUpperCase() })).toMatchObject({
      error: { code: "AlreadyExists", reason: "SKU_TAKEN" },
    });
    expect(await add({ category: composed.toUpperCase() })).toMatchObject({
      message: { product: { category: composed } },
    });
    const listed = await anonymous.inventory.listProducts({ category: composed.toLowerCase(), countCategories: true });
    expect(listed.products).toHaveLength(2);
    expect(listed.categoryCounts.filter((one) => one.category.toUpperCase() === composed.toUpperCase())).toMatchObject([
      { category: composed, count: 2 },
    ]);
  });

  test("a password is accepted from any keyboard", async () => {
    const username = unique("keyboard");
    const call = async (method: AnyMethod, typed: string) =>
      await client.call({ method, request: { username, password: typed } });
    expect(await call(UserService.method.register, "k\u00e4nnchen\u00a0caf\u00e9")).not.toHaveProperty("error");
    expect(await call(UserService.method.authenticate, "ka\u0308nnchen cafe\u0301")).not.toHaveProperty("error");
    expect(await call(UserService.method.authenticate, "kannchen cafe")).toMatchObject({
      error: { code: "Unauthenticated" },
    });
  });

  test("an unbounded number of marks on a letter is refused", async () => {
    // In quadratic time this would take minutes.
    const name = `a${"\u0301\u0316".repeat(100_000)}`;
    for (const product of [{ name: `a${"\u0301".repeat(40)}` }, { name }, { description: name }])
      expect(
        await client.call({
          method: InventoryService.method.createProduct,
          headers: admin.headers,
          request: newProduct(product),
        }),
      ).toMatchObject({ error: { code: "InvalidArgument" } });
  });

  test("a text without visible characters counts as absent", async () => {
    for (const name of ["\u200b\ufeff", " \u200e\u200d", "\u2060"])
      expect(
        await client.call({
          method: InventoryService.method.createProduct,
          headers: admin.headers,
          request: newProduct({ name }),
        }),
      ).toMatchObject({ error: { code: "InvalidArgument", violations: ["product.name"] } });
  });

  test("reserved names and look-alikes can't be registered", async () => {
    for (const username of [
      "admin.",
      "ADMIN",
      "4dm1n",
      "a-d_m.i.n",
      "r00t",
      "Supp0rt",
      "adm1n-42",
      "the-admin",
      "THE.ADM1N",
    ])
      expect(
        await client.call({ method: UserService.method.register, request: { username, password } }),
        username,
      ).toMatchObject({ error: { code: "InvalidArgument", violations: ["username"] } });
    for (const username of ["adm\u0456n.x", "adm\u200cin", "\uff41dmin"])
      expect(await client.call({ method: UserService.method.register, request: { username, password } })).toMatchObject(
        { error: { code: "InvalidArgument", violations: ["username"] } },
      );
  });
});

test("no refused request had an effect", async () => {
  const { order } = await customer.orders.getOrderByID({ orderId });
  expect(order).toMatchObject({ status: OrderStatus.CONFIRMED, statusReason: "" });
  expect((await customer.users.getUserProfile({ userId: customer.userId })).profile?.displayName).toBe("");
});

test("half a surrogate pair, which JSON can encode and UTF-8 can't, is refused", async () => {
  for (const path of ["/products", "/shop.inventory.v1.InventoryService/CreateProduct"]) {
    const product = { name: "Pot", category: "Kitchen", price: { currency_code: "EUR", minor_units: 1 } };
    const body = JSON.stringify(path === "/products" ? product : { product }).replace('"Pot"', '"P\\ud800t"');
    const answer = await fetch(`${shop.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...admin.headers },
      body,
    });
    expect([path, answer.status]).toEqual([path, 400]);
  }
});

test("an import removes the same characters, and refuses the same rows", async () => {
  const transport = createGrpcTransport({ baseUrl: shop.url });
  const inventory = createClient(InventoryService, transport);
  const row = (name: string) => ({
    product: { sku: unique("text"), name, category: "Kitchen", price: { currencyCode: "EUR", minorUnits: 1n } },
  });
  const rows = [row("Tea\u200bpot\ufeff"), row("Tea\u202epot"), row("Tea\x9bpot"), row("\u200b")];
  async function* all() {
    yield* rows;
  }
  const imported = await inventory.importProducts(all(), { headers: admin.headers });
  expect(imported).toMatchObject({ created: 1, refused: 3 });
  expect(imported.errors.map(({ row, field }) => [row, field])).toEqual([
    [2, "name"],
    [3, "name"],
    [4, "name"],
  ]);
  const { products } = await anonymous.inventory.listProducts({ query: rows[0]!.product.sku });
  expect(products.map(({ name }) => name)).toEqual(["Teapot"]);
});

test("a session shows its user agent in visible ASCII", async () => {
  const account = await signUp();
  const body = JSON.stringify({ username: account.username, password });
  await new Promise<void>((resolve, reject) => {
    const headers = { "content-type": "application/json", "user-agent": "Fire\u00e2\u0080\u00aefox" };
    request(`${shop.url}/authenticate`, { method: "POST", headers }, (answer) => answer.resume().on("end", resolve))
      .on("error", reject)
      .end(body);
  });
  const { sessions } = await account.users.listSessions({});
  expect(sessions[0]!.userAgent).toMatch(/^Fire\?+fox$/);
});

test("a customer sees that an administrator changed their order, but not which one", async () => {
  const buyer = await signUp();
  const order = await decided(buyer, await placeOrder(buyer, [await addProduct(admin), 1]));
  await admin.orders.updateOrderStatus({ orderId: order.orderId, status: OrderStatus.SHIPPED, reason: "on its way" });
  await admin.orders.updateOrderStatus({ orderId: order.orderId, status: OrderStatus.DELIVERED });
  const actorsFor = async (account: Account) =>
    (await account.orders.listOrderEvents({ orderId: order.orderId })).events.map(({ actor }) => actor);
  expect(await actorsFor(buyer)).toEqual([buyer.userId, "inventory", "administrator", "administrator"]);
  expect(await actorsFor(admin)).toEqual([buyer.userId, "inventory", admin.userId, admin.userId]);
  for await (const { event } of buyer.orders.watchOrder({ orderId: order.orderId, afterVersion: 2 })) {
    if (event === undefined) continue;
    expect(event.actor).toBe("administrator");
    if (event.version === 4) break;
  }
});

test("a caller's trace id is not ours, but the log links both", async () => {
  const buyer = await signUp();
  const { productId } = await addProduct(admin);
  for (const path of ["/orders", "/shop.orders.v1.OrderService/CreateOrder"]) {
    const theirs = "deadbeef".repeat(4);
    const answer = await fetch(`${shop.url}${path}`, {
      method: "POST",
      headers: {
        ...buyer.headers,
        "content-type": "application/json",
        traceparent: `00-${theirs}-${"a".repeat(16)}-01`,
        "x-caller-traceparent": `00-${"b".repeat(32)}-${"a".repeat(16)}-01`,
      },
      body: JSON.stringify({ items: [{ productId, quantity: 1 }] }),
    });
    const json = (await answer.json()) as JsonObject;
    const order = (json.order ?? json) as JsonObject;
    const { events } = await buyer.orders.listOrderEvents({ orderId: String(order.order_id ?? order.orderId) });
    const { traceId } = events[0]!;
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(traceId).not.toBe(theirs);
    const log = join(shop.dataDir, "logs", shop.topology === "split" ? "orders.log" : "all-in-one.log");
    await eventually(async () => {
      const lines = readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line.includes(traceId));
      expect(lines.map((line) => JSON.parse(line).caller_trace_id)).toContain(theirs);
    });
  }
});

test("an existing account with a reserved name can sign in", async () => {
  expect((await signIn(shop.admin.username, shop.admin.password)).userId).toBe(admin.userId);
  expect(await refusalOf(anonymous.users.register({ username: shop.admin.username, password }))).toMatchObject({
    code: "InvalidArgument",
    violations: ["username"],
  });
});
