import type { JsonValue } from "@bufbuild/protobuf";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, type Operation, type Parts, readOpenApi } from "./openapi.ts";
import { valuesOf } from "./schema-arbitrary.ts";
import { addProduct, placeOrder, signIn, signInAdmin, signUp, unique } from "./shopping.ts";

const openApi = await readOpenApi();
const resolve = openApi.resolve.bind(openApi);

/** The client address of this file's wrong passwords, so that they slow down no other test. */
const elsewhere = { "x-forwarded-for": "198.51.100.67" };

/** Resources of this file's own: without them most requests would fail early. */
const known: Record<string, string> = {};
const usernames: Record<string, string> = {};

beforeAll(async () => {
  const [customer, admin, chief] = await Promise.all([signUp(), signUp(), signInAdmin()]);
  await chief.users.setRoles({ userId: admin.userId, roles: [Role.CUSTOMER, Role.ADMIN] });
  const product = await addProduct(chief, { category: unique("Fuzz"), stock: 1_000_000 });
  const order = await placeOrder(customer, [product, 1]);
  Object.assign(known, { product_id: product.productId, order_id: order.orderId });
  Object.assign(usernames, { customer: customer.username, admin: admin.username });
});

// Other tests rely on there being one administrator.
afterAll(async () => {
  const chief = await signInAdmin();
  const { users } = await chief.users.listUsers({ usernamePrefix: usernames.admin! });
  await chief.users.setRoles({ userId: users[0]!.userId, roles: [Role.CUSTOMER] });
});

const tokens = new Map<string, string>();

/** Sends requests as `anonymous`, a `customer` or an `admin`; a caller that a request signs out signs in again. */
async function ask(operation: Operation, parts: Parts, caller: string): Promise<Answer> {
  const username = usernames[caller];
  if (username !== undefined && !tokens.has(caller)) {
    tokens.set(caller, (await signIn(username)).headers.authorization);
  }
  const authorization = tokens.get(caller);
  const answer = await openApi.ask(operation, parts, { ...elsewhere, ...(authorization && { authorization }) });
  if (answer.status === 401 || operation.path.includes("sign") || operation.path.includes("/profile")) {
    tokens.delete(caller);
  }
  return answer;
}

/** A request that the description allows. */
function requests({ parameters, body }: Operation): fc.Arbitrary<Parts> {
  const sent = parameters.filter((parameter) => parameter.in !== "header");
  const values = sent.map((parameter): [string, fc.Arbitrary<JsonValue>] => [
    `${parameter.in} ${parameter.name}`,
    fc.oneof(
      valuesOf(parameter.schema, resolve),
      ...(parameter.name in known ? [fc.constant(known[parameter.name]!)] : []),
    ),
  ]);
  const requiredKeys = sent.filter(({ required }) => required).map((parameter) => `${parameter.in} ${parameter.name}`);
  return fc.record({
    parameters: fc.record(Object.fromEntries(values), { requiredKeys, noNullPrototype: true }),
    ...(body && { body: valuesOf(body.schema, resolve) }),
  });
}

/** Replaces ids by existing ones, so that orders get past the catalogue. */
const withKnown = (parts: Parts): Parts =>
  JSON.parse(JSON.stringify(parts).replaceAll(/product_[0-7][0-9a-z]{25}/g, () => known.product_id!)) as Parts;

/** A request that the description allows, but for one or two of its parts. */
function spoiltRequests(operation: Operation): fc.Arbitrary<Parts> {
  const anything = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>,
    fc.constantFrom<JsonValue>(
      "",
      "\0",
      "$where",
      "__proto__",
      "-1",
      "9223372036854775808",
      "NaN",
      "x".repeat(2_000),
      null,
      {},
      [],
    ),
  );
  const spoil = fc.record({
    which: fc.nat(),
    value: anything,
    how: fc.constantFrom("replace", "drop", "add", "whole"),
  });
  return fc.tuple(requests(operation), fc.array(spoil, { minLength: 1, maxLength: 2 })).map(([parts, spoils]) => {
    const parameters: Record<string, JsonValue> = { ...parts.parameters };
    let body = parts.body;
    for (const { which, value, how } of spoils) {
      const names = Object.keys(parameters);
      const name = names[which % names.length];
      const text = (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed();
      // Dots would make another path.
      if (name !== undefined && which % 2 === 0)
        parameters[name] = name.startsWith("path ") && /^\.*$/.test(text) ? "%" : text;
      else if (operation.body === undefined || how === "whole") body = operation.body && value;
      else if (isObject(body)) {
        const fields = Object.keys(body);
        const field = how === "add" ? "surprise" : (fields[which % fields.length] ?? "surprise");
        body = { ...body, [field]: value };
        if (how === "drop") delete body[field];
      }
    }
    return { parameters, ...(body !== undefined && { body }) };
  });
}

function isObject(json: JsonValue | undefined): json is { [name: string]: JsonValue } {
  return json !== null && typeof json === "object" && !Array.isArray(json);
}

/** An audit takes up to two seconds. */
const runsOf = ({ path }: Operation) => (path.endsWith(":audit") ? 3 : 30);

describe.for([
  [
    "allowed requests",
    (operation: Operation) =>
      fc.tuple(requests(operation), fc.boolean()).map(([parts, isKnown]) => (isKnown ? withKnown(parts) : parts)),
  ],
  ["invalid requests", spoiltRequests],
] as const)("%s are answered as /openapi.json says:", ([, made]) => {
  test.for(openApi.operations.map((operation) => [operation.id, operation] as const))(
    "%s",
    { timeout: 120_000 },
    async ([, operation]) => {
      await fc.assert(
        fc.asyncProperty(
          made(operation),
          fc.constantFrom("anonymous", "customer", "admin", "admin"),
          async (parts, caller) => {
            const answer = await ask(operation, parts, caller);
            expect(answer.status, JSON.stringify(answer.json)).toBeLessThan(500);
            openApi.expectDescribed(operation, answer);
          },
        ),
        { numRuns: runsOf(operation) },
      );
    },
  );
});
