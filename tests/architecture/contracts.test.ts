import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type DescField, type DescFile, type DescMessage, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { field as fieldRules } from "@shop/gen/buf/validate/validate_pb";
import { http } from "@shop/gen/google/api/annotations_pb";
import type { HttpRule } from "@shop/gen/google/api/http_pb";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { pattern_message } from "@shop/gen/shop/common/v1/pattern_message_pb";
import { Text, text } from "@shop/gen/shop/common/v1/text_pb";
import { describe, expect, test } from "vitest";
import { sizesOf } from "../../platform/rpc-server/src/pipeline/size-rules.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

/** Every file in gen/src/shop. */
async function allFiles(): Promise<DescFile[]> {
  const modules = await Promise.all(
    globSync("gen/src/shop/**/*_pb.ts", { cwd: repositoryRoot }).map(
      (file) => import(pathToFileURL(join(repositoryRoot, file)).href) as Promise<Record<string, unknown>>,
    ),
  );
  return modules
    .flatMap((module) => Object.entries(module).filter(([name]) => name.startsWith("file_")))
    .map(([, file]) => file as DescFile);
}

/** The routes of a method, as `GET /products/{}`: routes that differ only in a variable's name are equal. */
function routesOf(rule: HttpRule): string[] {
  const { case: verb, value } = rule.pattern;
  const route =
    verb === undefined
      ? []
      : typeof value === "string"
        ? [`${verb.toUpperCase()} ${value.replaceAll(/\{[^}]*\}/g, "{}")}`]
        : [`${value?.kind} ${value?.path}`];
  return [...route, ...rule.additionalBindings.flatMap(routesOf)];
}

/** Table rows, with variables as in `routesOf`; some list several methods: `POST /users/{}:disable`, `:enable`. */
const rowsOf = (...readmes: readonly string[]) =>
  readmes
    .flatMap((file) => readFileSync(join(repositoryRoot, file), "utf8").split("\n"))
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.replaceAll(/\{[^}]*\}/g, "{}"));

function names(row: string, route: string): boolean {
  const [, start = "", action = ""] = /^(\S+ .*?)(:\w+)?$/.exec(route)!;
  const contains = (text: string, ...ends: string[]) => ends.some((end) => row.includes(text + end));
  return action === "" ? contains(`\`${start}`, "`", "?") : contains(`\`${start}`, ":") && contains(action, "`", "?");
}

const serviceRows = rowsOf(...globSync("services/*/README.md", { cwd: repositoryRoot }));
const apiRows = rowsOf("docs/api.md");
/** The words of docs/api.md for the callers that a rule permits. */
const callers = new Map<Access, string>([
  [Access.PUBLIC, "anyone"],
  [Access.AUTHENTICATED, "signed-in user"],
  [Access.ADMIN, "administrator"],
]);

const files = await allFiles();
/** Of every service in proto/. */
const allMethods = files.flatMap((file) => file.services).flatMap((service) => service.methods);
const methods = allMethods.map((method) => ({
  name: `${method.parent.typeName}.${method.name}`,
  method,
  routes: hasOption(method, http) ? routesOf(getOption(method, http)) : [],
}));

test("the contracts are found", () => {
  expect(methods.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["shop.orders.v1.OrderService.CreateOrder", "shop.common.v1.TokenKeyService.ListTokenKeys"]),
  );
});

describe.each(methods)("$name", ({ method, routes }) => {
  test("declares an access rule", () => {
    expect(hasOption(method, access)).toBe(true);
    expect(getOption(method, access)).not.toBe(Access.UNSPECIFIED);
  });

  test("has a REST route, unless it streams requests, which REST cannot", () => {
    const streamsRequests = ["client_streaming", "bidi_streaming"].includes(method.methodKind);
    expect(routes.length > 0).toBe(!streamsRequests);
    for (const route of routes) expect(route).toMatch(/^[A-Z]+ \/\S+$/);
  });

  test("is a GET if and only if it has no side effects", () => {
    const hasNone = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    for (const route of routes) expect(route.startsWith("GET ")).toBe(hasNone);
  });

  test("bounds every text, list and map of its request", () => {
    expect(unboundedFields(method.input)).toEqual([]);
  });

  test("has a row in the README of its service, and one with its access rule in docs/api.md if it is public", () => {
    const rows = serviceRows.filter((row) => new RegExp(`[\`.]${method.name}\``).test(row));
    expect(rows).toHaveLength(1);
    for (const route of routes) {
      expect(rows.filter((row) => names(row, route))).toHaveLength(1);
      const caller = callers.get(getOption(method, access));
      const named = apiRows.filter((row) => names(row, route));
      expect(named, route).toHaveLength(caller === undefined ? 0 : 1);
      for (const row of named) expect(row).toContain(` | \`${method.name}\` | ${caller} | `);
    }
  });
});

/** Fields at any depth whose size no rule bounds, including messages that can hold any value. */
function unboundedFields(message: DescMessage, above: readonly DescMessage[] = []): string[] {
  if (above.includes(message) || anyValueTypes.has(message.typeName)) return [message.typeName];
  return message.fields.flatMap((field) => {
    const { maxCount, value, key } = sizesOf(field);
    const isRepeated = field.fieldKind === "list" || field.fieldKind === "map";
    const lengths = [
      ...(isText(field) ? [value] : []),
      ...(field.fieldKind === "map" && field.mapKey === ScalarType.STRING ? [key] : []),
    ].map(({ maxCharacters, maxBytes, maxMatch }) => Math.min(maxCharacters, maxBytes, maxMatch));
    const isBounded = [...(isRepeated ? [maxCount] : []), ...lengths].every(Number.isFinite) && hasBoundIfMask(field);
    const within =
      field.message === undefined || isMask(field) ? [] : unboundedFields(field.message, [...above, message]);
    return [...(isBounded ? [] : [field.toString()]), ...within];
  });
}

const anyValueTypes = new Set(
  ["Any", "Struct", "Value", "ListValue", "StringValue", "BytesValue"].map((name) => `google.protobuf.${name}`),
);
const isText = ({ scalar }: DescField) => scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
const isMask = ({ message }: DescField) => message?.typeName === "google.protobuf.FieldMask";

function hasBoundIfMask(field: DescField): boolean {
  if (!isMask(field)) return true;
  return getOption(field, fieldRules).cel.some(({ expression }) => /^this\.paths\.size\(\) <= \d+$/.test(expression));
}

test("a field without a bound is found at any depth", () => {
  // Responses have fields without a bound.
  const order = files.flatMap((file) => file.messages).find(({ name }) => name === "AuditStockResponse")!;
  expect(unboundedFields(order).map((field) => field.replace(/^field /, ""))).toEqual(
    expect.arrayContaining(["shop.inventory.v1.AuditStockResponse.checked", "shop.common.v1.AuditFinding.message"]),
  );
});

test("no route belongs to two methods", () => {
  const sharing = [
    ...Map.groupBy(
      methods.flatMap(({ name, routes }) => routes.map((route) => ({ name, route }))),
      ({ route }) => route,
    ),
  ]
    .filter(([, owners]) => owners.length > 1)
    .map(([route, owners]) => `${route}: ${owners.map(({ name }) => name).join(", ")}`);
  expect(sharing).toEqual([]);
});

function fieldsOf(message: DescMessage): DescField[] {
  return [...message.fields, ...message.nestedMessages.flatMap(fieldsOf)];
}

function patternOf(field: DescField): string {
  const { type } = getOption(field, fieldRules);
  const rules = type.case === "repeated" ? type.value.items?.type : type.case === "map" ? type.value.keys?.type : type;
  return rules?.case === "string" ? rules.value.pattern : "";
}

const textFields = files
  .flatMap((file) => file.messages)
  .flatMap(fieldsOf)
  .map((field) => ({ name: field.toString(), pattern: patternOf(field), words: getOption(field, pattern_message) }))
  .filter(({ pattern, words }) => pattern !== "" || words !== "");

test("fields with the same pattern have the same message, in words", () => {
  expect(textFields.length).toBeGreaterThan(30);
  expect(textFields.filter(({ pattern, words }) => pattern === "" || !/^must [^$^]+$/.test(words))).toEqual([]);
  const sayings = Map.groupBy(textFields, ({ pattern }) => pattern).values();
  expect([...sayings].filter((fields) => new Set(fields.map(({ words }) => words)).size > 1)).toEqual([]);
});

/** Text of requests that is looked up, compared or hashed, and never stored. */
const notStored = new Set([
  ...["page_token", "etag", "password", "old_password", "new_password", "refresh_token"],
  ...[
    "AuthenticateRequest.username",
    "ResetPasswordRequest.username",
    "ListUsersRequest.username_prefix",
    "UserProfile.username",
    "BatchGetProductsRequest.product_ids",
  ],
  ...["ListProductsRequest.name", "ListProductsRequest.category", "ListProductsRequest.query"],
  ...["ListProductsRequest.attributes", "ListProductsRequest.order_by"],
  // For services only.
  ...["BatchGetReservationsRequest.order_ids", "WaitingOrder.order_id", "ReservationLine.product_id"],
]);

function textFieldsOf(message: DescMessage, seen = new Set<DescMessage>()): DescField[] {
  if (seen.has(message) || message.typeName.startsWith("google.")) return [];
  seen.add(message);
  return message.fields.flatMap((field) => [
    ...("scalar" in field && field.scalar === ScalarType.STRING ? [field] : []),
    ...(field.message === undefined ? [] : textFieldsOf(field.message, seen)),
  ]);
}

/** Whether a pattern permits ASCII characters only. */
function isAscii(pattern: string): boolean {
  const rest = pattern.replaceAll(/\\x[2-7][0-9a-f]|\\[.[\]]/g, "x").replaceAll(/\[(?!\^)[ -~]+?\]/g, "x");
  return /^\^[^\\[.]+\$$/.test(rest);
}

const inputs = [...new Set(allMethods.map(({ input }) => input))].flatMap((input) => textFieldsOf(input));

test.each([...new Set(inputs)].map((field) => [`${field.parent.name}.${field.name}`, field] as const))(
  "%s, text of a request, declares which characters it may hold, or is not stored",
  (name, field) => {
    const pattern = getOption(field, fieldRules)?.type;
    const isAsciiPattern = pattern?.case === "string" && isAscii(pattern.value.pattern);
    const saysSo = getOption(field, text) !== Text.UNSPECIFIED;
    expect(saysSo || isAsciiPattern || notStored.has(field.name) || notStored.has(name)).toBe(true);
  },
);
