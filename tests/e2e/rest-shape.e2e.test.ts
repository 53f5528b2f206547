import { connect } from "node:http2";
import type { JsonObject } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "./eventually.ts";
import {
  type Account,
  addProduct,
  decided,
  password,
  placeOrder,
  shop,
  signInAdmin,
  signUp,
  unique,
} from "./shopping.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: JsonObject;
}

async function ask(
  line: string,
  { as, body, headers = {} }: { as?: Account; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const [method, path] = line.split(" ");
  const response = await fetch(`${shop.url}${path}`, {
    method: method!,
    headers: { ...as?.headers, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, json: text === "" ? {} : JSON.parse(text) };
}

const idOf = (kind: string) => expect.stringMatching(new RegExp(`^${kind}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const unknownProduct = "product_01h455vb4pex5vsknk084sn02q";

let admin: Account;
let customer: Account;

beforeAll(async () => {
  [admin, customer] = await Promise.all([signInAdmin(), signUp()]);
});

describe("a response has exactly the documented fields, zeros and empty lists included", () => {
  test("of POST /register, POST /authenticate and GET /profile/{user_id}", async () => {
    const username = unique("Rest");
    const registered = await ask("POST /register", { body: { username, password } });
    expect(registered).toMatchObject({ status: 200 });
    expect(registered.json).toEqual({ user_id: idOf("user") });

    const signedIn = await ask("POST /authenticate", { body: { username, password } });
    expect(signedIn.status).toBe(200);
    expect(signedIn.json).toEqual({
      user_id: registered.json.user_id,
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: "Bearer",
      expires_in_seconds: 600,
      refresh_token: expect.stringMatching(/^[\w-]{64}$/),
      refresh_expires_in_seconds: 14 * 24 * 60 * 60,
      session_id: idOf("session"),
    });

    const authorization = `Bearer ${signedIn.json.access_token}`;
    const profile = await ask(`GET /profile/${registered.json.user_id}`, { headers: { authorization } });
    expect(profile.status).toBe(200);
    expect(profile.json).toEqual({
      user_id: registered.json.user_id,
      username,
      roles: ["ROLE_CUSTOMER"],
      create_time: time,
      display_name: "",
      etag: expect.any(String),
      update_time: time,
      disabled: false,
    });
  });

  test("of POST, GET, PATCH and DELETE of products: the product itself, not an envelope", async () => {
    const category = unique("Shape");
    const price = { currency_code: "EUR", minor_units: 1250 };
    const created = await ask("POST /products", { as: admin, body: { name: "Pen", category, price } });
    expect(created.status).toBe(200);
    expect(created.headers.get("content-type")).toMatch(/^application\/json/);
    const product = {
      product_id: idOf("product"),
      name: "Pen",
      description: "",
      category,
      price: { currency_code: "EUR", minor_units: "1250" },
      stock: 0,
      sku: "",
      image_url: "",
      attributes: {},
      state: "PRODUCT_STATE_ACTIVE",
      etag: expect.stringMatching(/./),
      create_time: time,
      update_time: time,
    };
    expect(created.json).toEqual(product);
    const path = `/products/${created.json.product_id}`;

    expect((await ask(`GET ${path}`)).json).toEqual(created.json);
    const uncounted = { category_counts: [], category_counts_partial: false };
    expect((await ask(`GET /products?category=${category}`)).json).toEqual({
      ...uncounted,
      products: [created.json],
      next_page_token: "",
    });
    expect((await ask(`GET /products?category=${unique("none")}`)).json).toEqual({
      ...uncounted,
      products: [],
      next_page_token: "",
    });
    await ask("POST /products", { as: admin, body: { name: "Ink", category, price, stock: 3 } });
    const page = await ask(`GET /products?category=${category}&page_size=1`);
    expect(page.json).toEqual({
      ...uncounted,
      products: [{ ...product, name: "Ink", stock: 3 }],
      next_page_token: expect.stringMatching(/^[\w-]+$/),
    });
    const next = await ask(`GET /products?category=${category}&page_size=1&page_token=${page.json.next_page_token}`);
    expect(next.json).toEqual({ ...uncounted, products: [created.json], next_page_token: "" });
    expect((await ask(`GET /products?category=${category}&name=in`)).json).toMatchObject({
      products: [{ name: "Ink" }],
    });

    const patched = await ask(`PATCH ${path}`, { as: admin, body: { name: "Quill" } });
    expect(patched.status).toBe(200);
    expect(patched.json).toEqual({ ...product, product_id: created.json.product_id, name: "Quill" });

    const deleted = await ask(`DELETE ${path}`, { as: admin });
    expect(deleted).toMatchObject({ status: 200, json: {} });
    expect(deleted.json).toEqual({});
    expect((await ask(`DELETE ${path}`, { as: admin })).status).toBe(404);
  });

  test("of POST, GET and PATCH of orders: the order itself, not an envelope", async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { name: "Pen", price: { currencyCode: "EUR", minorUnits: 1250n } });
    expect((await ask("GET /orders", { as: buyer })).json).toEqual({ orders: [], next_page_token: "" });
    const placed = await ask("POST /orders", {
      as: buyer,
      body: { items: [{ product_id: product.productId, quantity: 2 }] },
    });
    expect(placed.status).toBe(200);
    const order = {
      order_id: idOf("order"),
      user_id: buyer.userId,
      status: "ORDER_STATUS_PENDING",
      status_reason: "",
      items: [
        {
          product_id: product.productId,
          name: "Pen",
          quantity: 2,
          unit_price: { currency_code: "EUR", minor_units: "1250" },
        },
      ],
      total: { currency_code: "EUR", minor_units: "2500" },
      create_time: time,
      update_time: time,
      version: 1,
    };
    expect(placed.json).toEqual(order);
    const path = `/orders/${placed.json.order_id}`;
    const confirmed = { ...order, order_id: placed.json.order_id, status: "ORDER_STATUS_CONFIRMED", version: 2 };
    await eventually(async () => expect((await ask(`GET ${path}`, { as: buyer })).json).toEqual(confirmed));
    expect((await ask("GET /orders", { as: buyer })).json).toEqual({ orders: [confirmed], next_page_token: "" });
    const shipped = await ask(`PATCH ${path}`, { as: admin, body: { status: "ORDER_STATUS_SHIPPED" } });
    expect(shipped.status).toBe(200);
    expect(shipped.json).toEqual({ ...confirmed, status: "ORDER_STATUS_SHIPPED", version: 3 });
  });

  test("of a rejected order: the reason", async () => {
    const buyer = await signUp();
    const order = await placeOrder(buyer, [await addProduct(admin, { stock: 0 }), 1]);
    await decided(buyer, order);
    expect((await ask(`GET /orders/${order.orderId}`, { as: buyer })).json).toMatchObject({
      status: "ORDER_STATUS_REJECTED",
      status_reason: expect.stringMatching(/\w+/),
    });
  });
});

describe("an error is google.rpc.Status under the status of its code:", () => {
  const product = { name: "Pen", category: "Shape", price: { currency_code: "EUR", minor_units: 1 } };
  const info = (reason: string) =>
    expect.objectContaining({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason });
  const badRequest = (field: string) =>
    expect.objectContaining({
      "@type": "type.googleapis.com/google.rpc.BadRequest",
      field_violations: expect.arrayContaining([
        expect.objectContaining({ field, description: expect.stringMatching(/\w+/) }),
      ]),
    });

  async function refused(
    answer: Promise<Answer>,
    status: number,
    code: number,
    ...details: unknown[]
  ): Promise<Answer> {
    const { json, ...rest } = await answer;
    expect(json).toEqual({ code, message: expect.stringMatching(/^[^[\s]/), details: expect.any(Array) });
    expect(json.details).toEqual(expect.arrayContaining(details));
    expect(rest.status).toBe(status);
    expect(rest.headers.get("content-type")).toMatch(/^application\/json/);
    return { json, ...rest };
  }

  test("400 for fields that break a rule", async () => {
    await refused(
      ask("POST /products", { as: admin, body: { ...product, stock: -1 } }),
      400,
      3,
      info("INVALID_FIELDS"),
      badRequest("product.stock"),
    );
  });

  test("400 for a field that does not exist", async () => {
    await refused(
      ask("POST /orders", { as: customer, body: { items: [], price: 1 } }),
      400,
      3,
      info("INVALID_FIELDS"),
      badRequest("price"),
    );
  });

  test("400 for an order of a product that is not on sale", async () => {
    const items = [{ product_id: unknownProduct, quantity: 1 }];
    const unknown = info("PRODUCT_UNKNOWN");
    await refused(
      ask("POST /orders", { as: customer, body: { items } }),
      400,
      3,
      unknown,
      badRequest("items[0].product_id"),
    );
  });

  test("400 for a transition that an order can't make", async () => {
    const { orderId } = await placeOrder(customer, [await addProduct(admin), 1]);
    const move = ask(`PATCH /orders/${orderId}`, { as: admin, body: { status: "ORDER_STATUS_DELIVERED" } });
    await refused(move, 400, 9, info("ORDER_MOVE_REFUSED"));
  });

  test.for([
    ["no token", {}, "ACCESS_TOKEN_MISSING"],
    ["another scheme", { authorization: "Basic YWRtaW46YWRtaW4=" }, "ACCESS_TOKEN_MISSING"],
    ["a text that is not a token", { authorization: "Bearer nonsense" }, "ACCESS_TOKEN_INVALID"],
    [
      "a token without a signature",
      { authorization: "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyXzEifQ." },
      "ACCESS_TOKEN_INVALID",
    ],
  ] as const)("401 with www-authenticate for %s", async ([, headers, reason]) => {
    for (const line of ["GET /orders", "GET /profile/user_01h455vb4pex5vsknk084sn02q", "DELETE /products/none"]) {
      const { headers: answered } = await refused(ask(line, { headers }), 401, 16, info(reason));
      expect(answered.get("www-authenticate")).toMatch(/^Bearer\b/);
    }
  });

  test("401 for a wrong password, which does not reveal whether the name exists", async () => {
    const wrong = ask("POST /authenticate", { body: { username: customer.username, password: "not the password" } });
    const unknown = ask("POST /authenticate", { body: { username: unique("nobody"), password: "not the password" } });
    const [one, other] = await Promise.all(
      [wrong, unknown].map((answer) => refused(answer, 401, 16, info("WRONG_CREDENTIALS"))),
    );
    expect(one!.json).toEqual(other!.json);
  });

  test.for([
    ["a valid body", JSON.stringify(product)],
    ["an empty product", "{}"],
    ["a body that is not JSON", "{nope"],
    ["a body of 2 MiB", "x".repeat(2 * 1024 * 1024)],
  ] as const)("403 for a customer's POST /products with %s", async ([, body]) => {
    await refused(ask("POST /products", { as: customer, body }), 403, 7, info("ADMIN_REQUIRED"));
  });

  test("and a long unread body corrupts neither its response nor the next request", async () => {
    const body = "x".repeat(2 * 1024 * 1024);
    for (let time = 0; time < 10; time++) {
      await refused(ask("POST /products", { as: customer, body }), 403, 7, info("ADMIN_REQUIRED"));
      expect((await ask("GET /products?page_size=1")).status).toBe(200);
    }
  });

  test("404 for a resource that does not exist or belongs to another user", async () => {
    await refused(ask("GET /nothing/here"), 404, 5);
    await refused(ask(`GET /products/${unknownProduct}`), 404, 5, info("PRODUCT_NOT_FOUND"));
    await refused(ask(`DELETE /products/${unknownProduct}`, { as: admin }), 404, 5, info("PRODUCT_NOT_FOUND"));
    await refused(ask(`GET /profile/${admin.userId}`, { as: customer }), 404, 5, info("USER_NOT_FOUND"));
    const { orderId } = await placeOrder(admin, [await addProduct(admin), 1]);
    await refused(ask(`GET /orders/${orderId}`, { as: customer }), 404, 5, info("ORDER_NOT_FOUND"));
  });

  test("405 with Allow for another method of a path", async () => {
    const { headers } = await refused(ask("PUT /products", { as: admin, body: product }), 405, 12);
    expect(headers.get("allow")!.split(", ")).toEqual(expect.arrayContaining(["GET", "POST"]));
  });

  test("409 for a name or a SKU that is taken, and for a stale etag", async () => {
    const { username } = customer;
    await refused(ask("POST /register", { body: { username, password } }), 409, 6, info("USERNAME_TAKEN"));
    const { sku, productId } = await addProduct(admin, { sku: unique("sku") });
    await refused(ask("POST /products", { as: admin, body: { ...product, sku } }), 409, 6, info("SKU_TAKEN"));
    const stale = ask(`PATCH /products/${productId}`, { as: admin, body: { name: "Ink", etag: "v0" } });
    await refused(stale, 409, 10, info("PRODUCT_CHANGED"));
  });

  test("413 for a body over 1 MiB", async () => {
    const body = JSON.stringify({ ...product, description: "x".repeat(1024 * 1024) });
    await refused(ask("POST /products", { as: admin, body }), 413, 8);
  });

  test("415 for a body that is not JSON by its content type", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml"]) {
      const answer = ask("POST /products", { as: admin, body: product, headers: { "content-type": type } });
      await refused(answer, 415, 3);
    }
  });
});

test("HEAD answers like GET, without the body", async () => {
  const product = await addProduct(admin);
  const get = await ask(`GET /products/${product.productId}`);
  const head = await fetch(`${shop.url}/products/${product.productId}`, { method: "HEAD" });
  expect(head.status).toBe(200);
  expect(head.headers.get("content-length")).toBe(get.headers.get("content-length"));
  expect(await head.text()).toBe("");
});

test("REST over HTTP/2 without TLS has the same responses as over HTTP/1.1", async () => {
  const { productId } = await addProduct(admin);
  const session = connect(shop.url);
  try {
    const stream = session.request({ ":path": `/products/${productId}` });
    const status = new Promise((resolve, reject) => {
      stream.once("response", (headers) => resolve(headers[":status"]));
      stream.once("error", reject);
    });
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += chunk;
    expect(await status).toBe(200);
    expect(JSON.parse(text)).toEqual((await ask(`GET /products/${productId}`)).json);
  } finally {
    session.close();
  }
});

test("the public port reports liveness and readiness", async () => {
  expect((await fetch(`${shop.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${shop.url}/readyz`)).status).toBe(200);
});
