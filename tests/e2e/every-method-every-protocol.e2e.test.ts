import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { InventoryService, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserProfileSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import { internalCredentialHeader } from "@shop/http-port";
import { ownerOf, serviceNames } from "@shop/topology";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceHeaders } from "../setup/service-credentials.ts";
import { type AnyMethod, nameOf, type Outcome, type ProtocolClient, protocols, restError } from "./clients.ts";
import { snakeCased } from "./json-names.ts";
import {
  accessRules,
  authorizationErrors,
  type Caller,
  type ExpectedError,
  invalidRequests,
  type Row,
  rows,
  titleOf,
  type World,
} from "./method-table.ts";
import { plantDeadLetter } from "./plant-dead-letter.ts";
import { queryString, restCalls } from "./rest-routes.ts";
import { isInternal, methods, ownUrls, services } from "./schema.ts";
import { addProduct, anonymous, decided, password, placeOrder, shop, signInAdmin, signUp, unique } from "./shopping.ts";

// Takes one to two minutes: over 2,000 cases, each a call of its own with what it needs, one after the other.

const forgedToken = [
  "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ",
  "eyJzdWIiOiJ1c2VyXzEiLCJyb2xlcyI6WyJhZG1pbiJdfQ",
  "c2ln",
].join(".");

let world: World;
let headersOf: (caller: Caller) => Promise<Record<string, string>>;

beforeAll(async () => {
  const [admin, owner, customer] = await Promise.all([signInAdmin(), signUp(), signUp()]);
  const price = { currencyCode: "EUR", minorUnits: 1250n };
  const readOnly = await addProduct(admin, {
    price,
    sku: unique("sku"),
    stock: 10,
    description: "Only to be looked at",
  });
  const plenty = await addProduct(admin, { price, stock: 1_000_000 });
  const order = await decided(owner, await placeOrder(owner, [plenty, 1]));
  const { profile } = await owner.users.getUserProfile({ userId: owner.userId });
  const asJson = (product: typeof plenty) => toJson(ProductSchema, product) as World["product"] & World["plenty"];

  world = {
    ids: { owner: owner.userId, customer: customer.userId, admin: admin.userId },
    password,
    adminPassword: shop.admin.password,
    streamPath: `/orders/${order.orderId}:watch`,
    owner: { username: owner.username, profile: toJson(UserProfileSchema, profile!) as JsonObject },
    product: asJson(readOnly),
    order: toJson(OrderSchema, order) as World["order"],
    plenty: asJson(plenty),
    newAccount: async () => {
      const username = unique("row");
      await anonymous.users.register({ username, password });
      return { username, ...(await anonymous.users.authenticate({ username, password })) };
    },
    newSession: async () => await anonymous.users.authenticate({ username: owner.username, password }),
    newProduct: async () => asJson(await addProduct(admin, { price })),
    newDeletedProduct: async () => {
      const product = await addProduct(admin, { price });
      await admin.inventory.deleteProduct({ productId: product.productId });
      return asJson(product);
    },
    newDeadLetter: plantDeadLetter,
    newConfirmedOrder: async () =>
      toJson(OrderSchema, await decided(customer, await placeOrder(customer, [plenty, 1]))) as World["order"],
  };
  headersOf = async (caller) => {
    switch (caller) {
      case "anonymous":
        return {};
      case "forger":
        return { authorization: `Bearer ${forgedToken}`, [internalCredentialHeader]: forgedToken };
      case "platform":
        return serviceHeaders(shop.dataDir, "orders", "inventory");
      case "starter":
        return serviceHeaders(shop.dataDir, "starter", "users");
      case "leaver":
        return { ...(await signUp()).headers };
      default:
        return { ...{ owner, customer, admin }[caller].headers };
    }
  };
});

// A service's own port answers itself in both topologies. In the split topology, where the public port forwards to it, only
// the methods that the public port does not have are called on it.
const isCalledOnOwnPort = (method: AnyMethod) => shop.topology === "all-in-one" || isInternal(method);

/** Ports, and the methods that can be called on them. */
const ports = [
  { says: "the public port", url: shop.url, offers: (method: AnyMethod) => !isInternal(method) },
  ...serviceNames.map((name) => ({
    says: `the ${name} port`,
    url: shop[`${name}Url`],
    offers: (method: AnyMethod) => ownerOf(method.parent.typeName) === name && isCalledOnOwnPort(method),
  })),
].filter(({ offers }) => methods.some(offers));

test("every method of every service has its rows, its access rule, its REST route and a port", () => {
  expect(services.length).toBeGreaterThanOrEqual(4);
  for (const method of methods) {
    const name = nameOf(method);
    expect
      .soft(["unary", "server_streaming"], `${name}: the table needs a way to call it`)
      .toContain(method.methodKind);
    expect
      .soft(
        rows.some((row) => row.method === method && row.answers !== undefined),
        `${name} has no row`,
      )
      .toBe(true);
    expect.soft(accessRules, "its access rule").toHaveProperty([name]);
    expect.soft(invalidRequests, "an invalid request").toHaveProperty([name]);
    expect.soft(restCalls, "its REST route").toHaveProperty([name]);
    expect.soft(ownUrls, "its own port").toHaveProperty([method.parent.typeName]);
  }
});

// The first error message of a row; every other protocol and port must answer with the same message.
const words = new Map<Row, string>();

describe.for(ports)("on $says", ({ url, offers }) => {
  describe.for(Object.keys(protocols))("with %s", (protocol) => {
    let client: ProtocolClient;
    beforeAll(() => {
      client = protocols[protocol]!(url);
    });
    afterAll(() => client.close());

    test.for(rows.filter(({ method }) => offers(method)).map((row) => [titleOf(row), row] as const))(
      "%s",
      async ([, row]) => {
        const request = await row.request(world);
        const outcome = await client.call({ method: row.method, request, headers: await headersOf(row.as) });
        if (row.refuses === undefined) {
          expect(outcome).toEqual({ message: row.answers!(world, request) });
        } else {
          expectRefusal(outcome, row.refuses);
          const { message } = (outcome as { error: { message: string } }).error;
          if (!words.has(row)) words.set(row, message);
          expect(message, "the same message in every protocol").toBe(words.get(row));
        }
      },
    );

    test.for(methods.filter(offers).map((method) => [nameOf(method), method] as const))(
      "%s admits its permitted callers only, and decides that before it validates the request",
      async ([name, method]) => {
        const refusals = authorizationErrors[accessRules[name]!]!;
        for (const caller of ["anonymous", "forger", "owner", "customer", "admin"] as const) {
          const request = invalidRequests[name]!;
          const outcome = await client.call({ method, request, headers: await headersOf(caller) });
          const refusal = refusals[caller];
          if (refusal !== undefined) expectRefusal(outcome, refusal, caller);
          // A request without fields is always valid.
          else if (method.input.fields.length === 0) expect(outcome, caller).toHaveProperty("message");
          else expect(outcome, caller).toMatchObject({ error: { code: "InvalidArgument" } });
        }
      },
    );
  });

  describe("an unknown field is refused", () => {
    test.for(methods.filter(offers).map((method) => [nameOf(method), method] as const))(
      "by %s",
      async ([name, method]) => {
        const row = rows.find((candidate) => candidate.method === method && candidate.answers !== undefined)!;
        const request = await row.request(world);
        const headers = { ...(await headersOf(row.as)), "content-type": "application/json" };

        expect(await askConnect(`${url}/${name}`, method, headers, { ...request, surprise: 1 })).toMatchObject({
          code: "invalid_argument",
          message: expect.stringContaining("surprise"),
        });

        const { verb, path, query, body } = restCalls[name]!(snakeCased(request) as JsonObject);
        const asked = body === undefined ? { ...query, surprise: 1 } : query;
        const rest = await fetch(`${url}${path}${queryString(asked)}`, {
          method: verb,
          headers,
          ...(body === undefined ? {} : { body: JSON.stringify({ ...body, surprise: 1 }) }),
        });
        expect(rest.status).toBe(400);
        const error = restError((await rest.json()) as JsonObject);
        expect(error).toMatchObject({ code: "InvalidArgument", message: expect.stringContaining("surprise") });
        expect(error.violations).toEqual([expect.stringMatching(/(^|\.)surprise$/)]);
      },
    );
  });
});

describe("BatchGetReservations, which is INTERNAL, does not exist on the public port", () => {
  const method = InventoryService.method.batchGetReservations;
  const forgeries: Readonly<Record<string, () => Promise<Record<string, string>>>> = {
    "no credential": async () => ({}),
    "an administrator's token": () => headersOf("admin"),
    "a forged credential": () => headersOf("forger"),
    "a leaked service credential": () => headersOf("platform"),
  };

  for (const [credential, headers] of Object.entries(forgeries)) {
    test.for(Object.keys(protocols).filter((protocol) => protocol !== "fetch of REST"))(
      `with ${credential}, by %s`,
      async (protocol) => {
        const client = protocols[protocol]!(shop.url);
        try {
          const request = { orderIds: [world.order.orderId] };
          const outcome = await client.call({ method, request, headers: await headers() });
          expectRefusal(outcome, { code: "Unimplemented", reason: "" });
        } finally {
          client.close();
        }
      },
    );

    test.for(["GET", "HEAD", "POST", "DELETE", "OPTIONS"])(
      `with ${credential}, by REST: %s /reservations:batchGet is answered like an unknown path`,
      async (verb) => {
        const ask = async (path: string) => {
          const query = `?order_ids=${world.order.orderId}`;
          const response = await fetch(`${shop.url}${path}${query}`, { method: verb, headers: await headers() });
          const text = (await response.text()).replaceAll(path, "(path)");
          return { status: response.status, allow: response.headers.get("allow"), text };
        };
        const unknownPath = await ask("/reservations:nothing");
        expect(unknownPath.status).toBe(404);
        expect(await ask("/reservations:batchGet")).toEqual(unknownPath);
      },
    );
  }

  test("a leaked service credential gives no administrator rights on the public port", async () => {
    for (const protocol of Object.values(protocols)) {
      const client = protocol(shop.url);
      const outcome = await client.call({
        method: InventoryService.method.createProduct,
        request: { product: { name: "Planted", category: "Planted", price: { currencyCode: "EUR", minorUnits: "1" } } },
        headers: await headersOf("platform"),
      });
      client.close();
      expectRefusal(outcome, { code: "Unauthenticated", reason: "ACCESS_TOKEN_MISSING" });
    }
  });
});

/** A Connect call in JSON on the wire: its error. */
async function askConnect(url: string, method: AnyMethod, headers: Record<string, string>, request: JsonObject) {
  const json = Buffer.from(JSON.stringify(request));
  if (method.methodKind === "unary") {
    const response = await fetch(url, { method: "POST", headers, body: json });
    expect(response.status).toBe(400);
    return await response.json();
  }
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/connect+json" },
    body: new Uint8Array(encodeEnvelope(0, json)),
  });
  const end = Buffer.from(await response.arrayBuffer());
  return JSON.parse(end.subarray(5).toString()).error;
}

function expectRefusal(outcome: Outcome, expected: ExpectedError, who = ""): void {
  expect(outcome, who).toEqual({
    error: {
      code: expected.code,
      reason: expected.reason,
      message: expect.stringMatching(/\S/),
      violations: expected.violations ?? [],
    },
  });
}
