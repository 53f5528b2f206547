import { gzipSync } from "node:zlib";
import { type DescField, type DescMessage, type JsonObject, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceHeaders } from "../setup/service-credentials.ts";
import { runningProcesses } from "../setup/shop.ts";
import { type AnyMethod, nameOf } from "./clients.ts";
import { snakeCased } from "./json-names.ts";
import { queryString, restCalls } from "./rest-routes.ts";
import { isInternal, methods, ownUrls } from "./schema.ts";
import { anonymous, password, shop, signInAdmin, unique } from "./shopping.ts";

// Takes one to two minutes: thousands of requests to every method, some of which hash a password.

/** The client address of this file's wrong passwords, so that they slow down no other test. */
const elsewhere = { "x-forwarded-for": "198.51.100.66" };
let headers: Record<string, string>;
let processes: unknown;
const readProcesses = () => runningProcesses(shop.dataDir).map(({ name, pid }) => [name, pid]);

// An administrator may call the most methods.
async function arrive(): Promise<void> {
  headers = { ...(await signInAdmin()).headers, ...elsewhere };
}

/** INTERNAL methods are called as the service that may call them. */
function credentialFor(method: AnyMethod): Record<string, string> {
  if (!isInternal(method)) return {};
  return method.parent === UserService
    ? serviceHeaders(shop.dataDir, "starter", "users")
    : serviceHeaders(shop.dataDir, "orders", "inventory");
}

beforeAll(async () => {
  await arrive();
  processes = readProcesses();
});

afterAll(async () => {
  expect(readProcesses()).toEqual(processes);
  expect((await fetch(`${shop.url}/readyz`)).status).toBe(200);
});

/** The HTTP statuses in docs/errors.md for a caller's mistakes: neither internal nor unknown errors. */
const documented = [200, 400, 401, 403, 404, 405, 409, 413, 415, 429];

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(method: AnyMethod, path: string, init: RequestInit): Promise<Answer> {
  const url = isInternal(method) ? ownUrls[method.parent.typeName] : shop.url;
  const response = await fetch(`${url}${path}`, {
    ...init,
    headers: { ...headers, ...credentialFor(method), ...init.headers },
  });
  if (method === UserService.method.signOut && response.ok) await arrive();
  return { status: response.status, text: Buffer.from(await response.arrayBuffer()).toString("latin1") };
}

const post = (contentType: string, body: string | Uint8Array<ArrayBuffer>): RequestInit => ({
  method: "POST",
  headers: { "content-type": contentType },
  body,
});

async function overConnect(method: AnyMethod, request: JsonValue): Promise<Answer> {
  const json = JSON.stringify(request);
  const path = `/${nameOf(method)}`;
  if (method.methodKind === "unary") return await ask(method, path, post("application/json", json));
  const enveloped = new Uint8Array(encodeEnvelope(0, Buffer.from(json)));
  return await ask(method, path, post("application/connect+json", enveloped));
}

async function overRest(method: AnyMethod, request: JsonObject): Promise<Answer> {
  const { verb, path, query, body } = restCalls[nameOf(method)]!(snakeCased(request) as JsonObject);
  const url = `${path.toWellFormed().split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":")}${queryString(query)}`;
  const rest = body === undefined ? {} : post("application/json", JSON.stringify(body));
  return await ask(method, url, { ...rest, method: verb });
}

/** Every error is documented, also where a stream or gRPC sends it under 200. */
function expectDocumented({ status, text }: Answer): void {
  expect(documented, text).toContain(status);
  expect(text).not.toMatch(
    /"code":\s*("(internal|unknown|data_loss|unavailable)"|2|13|14|15)[,}]|grpc-status: ?(2|13|14|15)\b/,
  );
}

// Requests generated from the schema.

/** A valid value of a text field; it names a resource that does not exist, so that the request changes nothing. */
const wellFormed: Readonly<Record<string, () => string>> = {
  username: () => unique("hostile"),
  password: () => unique("password"),
  old_password: () => unique("password"),
  new_password: () => unique("password"),
  refresh_token: () => "r".repeat(64),
  session_id: () => "session_01h455vb4pex5vsknk084sn02q",
  display_name: () => unique("Somebody"),
  user_id: () => "user_01h455vb4pex5vsknk084sn02q",
  product_id: () => "product_01h455vb4pex5vsknk084sn02q",
  product_ids: () => "product_01h455vb4pex5vsknk084sn02q",
  order_id: () => "order_01h455vb4pex5vsknk084sn02q",
  order_ids: () => "order_01h455vb4pex5vsknk084sn02q",
  dead_letter_id: () => "999999999",
  name: () => unique("Teapot"),
  category: () => unique("Kitchen"),
  currency_code: () => "EUR",
  attributes: () => "color:red",
  reason: () => "because",
  actor: () => "platform",
};

/** Texts that a MongoDB query, a document path or a program could interpret. */
const operators = fc.oneof(
  fc.constantFrom(
    "$where",
    "$gt",
    "$ne",
    "$[]",
    "$$ROOT",
    "$",
    "a.$b",
    "roles.0",
    "__proto__",
    "constructor.prototype",
  ),
  fc.constantFrom('{"$gt":""}', '{"$ne":null}', '{"$where":"sleep(1000)"}', '[{"$ne":1}]', "{$regex: '.*'}", "/.*/"),
  fc.constantFrom("'; return true; //", "\\u0024ne", "%24ne", "$ne\0", "\0", "..", ".*", "(a+)+$", "#{1+1}"),
  fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => `$${text}`),
);

type Texts = (field: DescField) => fc.Arbitrary<JsonValue>;

function messages(desc: DescMessage, texts: Texts): fc.Arbitrary<JsonObject> {
  return fc.record(Object.fromEntries(desc.fields.map((field) => [field.jsonName, fieldValues(field, texts)])));
}

function fieldValues(field: DescField, texts: Texts): fc.Arbitrary<JsonValue> {
  switch (field.fieldKind) {
    case "list":
      if (field.listKind === "message") return fc.array(messages(field.message, texts), { minLength: 1, maxLength: 2 });
      return fc.array(field.listKind === "enum" ? enums(field.enum.values) : scalars(field, texts), {
        minLength: 1,
        maxLength: 2,
      });
    case "map":
      // Map keys have their own rules; map values are ordinary text.
      return isText(field) ? texts(field).map((text) => ({ color: text })) : fc.constant({});
    case "enum":
      return enums(field.enum.values);
    case "message":
      if (field.message.typeName === "google.protobuf.FieldMask") return fc.constant("name");
      if (field.message.typeName === "google.protobuf.Timestamp") return fc.constant("2026-01-01T00:00:00Z");
      return messages(field.message, texts);
    case "scalar":
      return scalars(field, texts);
  }
}

function enums(values: readonly { readonly name: string }[]): fc.Arbitrary<JsonValue> {
  return fc.constantFrom(...values.slice(1).map(({ name }) => name));
}

function scalars(field: DescField & { readonly scalar: ScalarType }, texts: Texts): fc.Arbitrary<JsonValue> {
  if (field.scalar === ScalarType.STRING) return texts(field);
  return fc.constant(field.scalar === ScalarType.BOOL ? true : field.name === "page_size" ? 10 : 1);
}

/**
 * An audit has one field, the page token. Empty, it starts an audit of up to two seconds and tests nothing new: so
 * the valid value here is an invalid token. every-method-every-protocol tests the empty token in every protocol.
 * every-method-every-protocol.
 */
const isAudit = ({ typeName }: DescMessage) => /\.Audit\w+Request$/.test(typeName);
const noToken = "none";

const right: Texts = (field) =>
  fc.constant(null).map(() => (isAudit(field.parent) ? noToken : (wellFormed[field.name]?.() ?? "")));

/** The paths of all fields of text in a message. */
function textFields(desc: DescMessage): DescField[] {
  return desc.fields.flatMap((field) => {
    if (field.message !== undefined && !field.message.typeName.startsWith("google."))
      return field.fieldKind === "map" ? [] : textFields(field.message);
    return isText(field) ? [field] : [];
  });
}

function isText(field: DescField): boolean {
  return "scalar" in field && field.scalar === ScalarType.STRING;
}

describe("an operator in a text field is plain text:", () => {
  const fields = methods.flatMap((method) =>
    textFields(method.input).map(
      (field) => [`${nameOf(method)}: ${field.parent.name}.${field.name}`, method, field] as const,
    ),
  );

  /**
   * The text had no effect, and matched only resources that contain it as text: writes may store it as sent, so that an
   * account may well be named "roles.0" here.
   */
  function expectHarmless(method: AnyMethod, { status, text }: Answer, sent: string): void {
    if (method.name === "Authenticate") expect(status, text).not.toBe(200);
    const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    if (status !== 200 || !isRead) return;
    if (method.methodKind === "server_streaming") {
      expect(text).toContain('"error"');
      return;
    }
    const carries = (found: JsonValue) =>
      valuesOf(found).some((value) => typeof value === "string" && value.startsWith(sent));
    const found = Object.values(JSON.parse(text) as JsonObject).flat(1) as JsonValue[];
    expect(found.filter((one) => one !== "" && one !== false && !carries(one))).toEqual([]);
  }

  test.for(fields)("%s", { timeout: 60_000 }, async ([, method, hostile]) => {
    const texts: Texts = (field) => (field === hostile ? fc.constant("(hostile)") : right(field));
    await fc.assert(
      fc.asyncProperty(messages(method.input, texts), operators, async (request, value) => {
        const said = JSON.parse(JSON.stringify(request).replaceAll('"(hostile)"', () => JSON.stringify(value)));
        for (const send of [overConnect, overRest]) {
          const answer = await send(method, said);
          expectDocumented(answer);
          expectHarmless(method, answer, value);
        }
        for (const operator of [{ $gt: "" }, { $ne: null }, ["$ne"], { toString: 1 }]) {
          const asked = JSON.parse(JSON.stringify(request).replaceAll('"(hostile)"', () => JSON.stringify(operator)));
          const answer = await overConnect(method, asked);
          expectDocumented(answer);
          expect(answer.text).toContain('"invalid_argument"');
        }
      }),
      { numRuns: 12 },
    );
  });
});

/** All values in a message, ids of results included. */
function valuesOf(json: JsonValue): JsonValue[] {
  if (Array.isArray(json)) return json.flatMap(valuesOf);
  if (json !== null && typeof json === "object") return Object.values(json).flatMap(valuesOf);
  return [json];
}

describe("for arbitrary input, the answer is documented:", () => {
  const anything = fc.oneof(
    { weight: 4, arbitrary: operators },
    { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom("x".repeat(1_000), "-1", "1e400", "NaN", "9223372036854775808", "\ud800") },
  );
  const mixed: Texts = (field) => fc.oneof({ weight: 3, arbitrary: right(field) }, { weight: 1, arbitrary: anything });
  const runsOf = (method: AnyMethod) => (method.parent.typeName.startsWith("shop.users.") ? 60 : 25);

  /** A request with arbitrary values in some places. */
  const spoilt = (method: AnyMethod) =>
    fc
      .tuple(
        messages(method.input, mixed),
        fc.array(fc.tuple(fc.nat(), fc.jsonValue({ maxDepth: 3 })), { maxLength: 2 }),
      )
      .map(([request, changes]) => {
        const names = method.input.fields.map(({ jsonName }) => jsonName);
        for (const [which, value] of changes)
          request[names[which % (names.length + 1)] ?? "surprise"] = value as JsonValue;
        return request;
      });

  describe.for(methods.map((method) => [nameOf(method), method] as const))("%s", ([, method]) => {
    test("in Connect's JSON", { timeout: 60_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(spoilt(method), async (request) => expectDocumented(await overConnect(method, request))),
        { numRuns: runsOf(method) },
      );
    });

    test("in REST", { timeout: 60_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(messages(method.input, mixed), async (request) =>
          expectDocumented(await overRest(method, request)),
        ),
        { numRuns: runsOf(method) },
      );
    });

    test("in bytes", { timeout: 60_000 }, async () => {
      const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 1, max: 40 }));
      const [audits] = isAudit(method.input) ? method.input.fields : [];
      // Of a repeated field the last one counts.
      const first = audits === undefined ? [] : [(audits.number << 3) | 2, noToken.length, ...Buffer.from(noToken)];
      await fc.assert(
        fc.asyncProperty(bytes, async (random) => {
          const message = Uint8Array.from([...first, ...random]);
          const enveloped = new Uint8Array(encodeEnvelope(0, message));
          const path = `/${nameOf(method)}`;
          expectDocumented(await ask(method, path, post("application/grpc-web+proto", enveloped)));
          expectDocumented(await ask(method, path, post("application/grpc-web+proto", new Uint8Array(message))));
          if (method.methodKind === "unary")
            expectDocumented(await ask(method, path, post("application/proto", new Uint8Array(message))));
        }),
        { numRuns: runsOf(method) },
      );
    });
  });

  // 0x7b opens a group of field 15, which no message has.
  test.for([1_000, 1_000_000])("%i groups, one in the other", async (depth) => {
    for (const method of methods) {
      const nested = new Uint8Array(depth).fill(0x7b);
      const answer = await ask(
        method,
        `/${nameOf(method)}`,
        post("application/grpc-web+proto", new Uint8Array(encodeEnvelope(0, nested))),
      );
      expectDocumented(answer);
    }
  });

  test("a thousand times the maximum, compressed to less than it", async () => {
    const bomb = encodeEnvelope(1, gzipSync(Buffer.alloc(1_000 * 1_048_576)));
    for (const method of methods.filter((one) => !isInternal(one))) {
      const answer = await ask(method, `/${nameOf(method)}`, {
        ...post("application/grpc-web+proto", new Uint8Array(bomb)),
        headers: { "content-type": "application/grpc-web+proto", "grpc-encoding": "gzip" },
      });
      expectDocumented(answer);
    }
  });
});

test("the requests created no administrator, and a new account has the role of a customer", async () => {
  const username = unique("hostile");
  const extras = {
    role: "ROLE_ADMIN",
    roles: ["ROLE_ADMIN"],
    isAdmin: true,
    userId: "user_01h455vb4pex5vsknk084sn02q",
  };
  for (const [name, value] of Object.entries(extras)) {
    const answer = await overConnect(UserService.method.register, { username, password, [name]: value });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(name)]);
  }
  await expect(anonymous.users.authenticate({ username, password })).rejects.toThrow();
});
