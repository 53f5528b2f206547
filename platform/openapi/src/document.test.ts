import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createFileRegistry, fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { reachableServices } from "@shop/auth";
import { describe, expect, test } from "vitest";
import { type OpenApiOptions, openApiDocument } from "./document.ts";

const reasons = new Map(
  Object.entries({
    ACCESS_TOKEN_INVALID: 401,
    ACCESS_TOKEN_MISSING: 401,
    ADMIN_REQUIRED: 403,
    DEPENDENCY_UNAVAILABLE: 503,
    BUFFERS_FULL: 429,
    SERVICE_UNREACHABLE: 503,
    INVALID_FIELDS: 400,
    THING_NOT_FOUND: 404,
    TOKEN_KEYS_UNAVAILABLE: 503,
  }).map(([reason, status]) => [reason, { status, when: `When it is ${reason}.` }]),
);

const service = shelfService();

function describeShelf(options: Partial<OpenApiOptions> = {}): JsonObject {
  return openApiDocument({
    info: { title: "Shelf", version: "1" },
    services: reachableServices([service], true),
    commentOf: (desc) => (desc.kind === "rpc" && desc.name === "Find" ? "Finds things. There are many." : ""),
    reasons,
    examples: new Map(),
    ...options,
  });
}

function shelfService() {
  const root = fileURLToPath(new URL("../../../", import.meta.url));
  const modules = ["platform/openapi/src/testdata", "proto", "vendor/proto"].map((path) => ({ path }));
  const config = JSON.stringify({ version: "v2", modules });
  const image = execFileSync("node_modules/.bin/buf", ["build", "--config", config, "--output", "-#format=binpb"], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  return registry.getService("test.shelf.v1.ShelfService")!;
}

/** The operation of a path; any depth below it may be read. */
// biome-ignore lint/suspicious/noExplicitAny: a document of which a test reads one place
const at = (document: JsonObject, ...path: string[]): any => path.reduce<any>((json, name) => json?.[name], document);

const document = describeShelf();
const operation = (path: string, verb: string) => at(document, "paths", path, verb);
const schema = (name: string) => at(document, "components", "schemas", name);
const named = (list: JsonObject[]) => Object.fromEntries(list.map((one) => [one.name ?? "$ref", one]));

describe("paths", () => {
  test("are those of google.api.http without INTERNAL methods; a variable is named after its last field", () => {
    const found = Object.entries(at(document, "paths")).flatMap(([path, item]) =>
      Object.keys(item as object).map((verb) => `${verb} ${path}`),
    );
    expect(found.toSorted()).toEqual([
      "get /shelves/{shelf}/things/{thing_id}",
      "get /things",
      "get /things/{thing_id}",
      "get /things/{thing_id}:watch",
      // The same path, whatever its variables are named.
      "patch /things/{thing_id}",
      "post /rooms/{place}/shelves/{place_2}:put",
    ]);
    expect(JSON.stringify(document)).not.toContain("ecret_");
  });

  test("an additional binding is a separate operation", () => {
    expect(operation("/things/{thing_id}", "get").operationId).toBe("ShelfService_Get");
    expect(operation("/shelves/{shelf}/things/{thing_id}", "get").operationId).toBe("ShelfService_Get_2");
  });

  test("a path parameter is one segment of its variable, with the field's rules if it is the whole variable", () => {
    const [id] = operation("/things/{thing_id}", "get").parameters;
    expect(id).toEqual({
      name: "thing_id",
      in: "path",
      required: true,
      schema: { type: "string", minLength: 4, maxLength: 4 },
    });
    const [room] = operation("/rooms/{place}/shelves/{place_2}:put", "post").parameters;
    expect(room).toMatchObject({ name: "place", description: expect.stringContaining("`rooms/*/shelves/*`") });
  });
});

test("query parameters are the fields that neither path nor body binds and a URL can carry, nested ones by their path", () => {
  const { $ref: _, ...parameters } = named(operation("/things", "get").parameters);
  expect(Object.keys(parameters)).toEqual(["part.name", "kinds", "after", "since", "mask", "most"]);
  expect(parameters).toMatchObject({
    kinds: { schema: { type: "array", items: { $ref: "#/components/schemas/Kind" } } },
    after: { schema: { type: ["string", "integer"], minimum: 0, pattern: "^-?[0-9]+$" } },
    since: { schema: { type: "string", format: "date-time" } },
    mask: { schema: { type: "string" } },
    most: { schema: { type: "integer", minimum: 0, maximum: 4_294_967_295 } },
  });
  expect(Object.keys(named(operation("/things/{thing_id}", "patch").parameters))).toContain("update_mask");
});

describe("bodies", () => {
  test("are the field that the rule names, or the fields that the path does not bind", () => {
    expect(operation("/things/{thing_id}", "patch").requestBody).toEqual({
      required: true,
      description: "The fields that are present are updated.",
      content: { "application/json": { schema: { $ref: "#/components/schemas/ThingInput" } } },
    });
    const { properties, required, additionalProperties } = schema("PutRequest");
    expect(Object.keys(properties)).toEqual(["thing", "secret"]);
    expect({ required, additionalProperties }).toEqual({ required: ["thing", "secret"], additionalProperties: false });
    expect(properties.secret).toEqual({ type: "string", minLength: 2, maxLength: 9 });
  });

  test("have the rules of buf.validate, in words if JSON Schema can't express them", () => {
    const { properties, required } = schema("ThingInput");
    expect(required).toEqual(["kind"]);
    expect(properties).toMatchObject({
      name: { pattern: "^[a-z]+$", description: "It must be small letters." },
      kind: { enum: ["KIND_ROUND", "KIND_SQUARE"] },
      weight: { type: ["string", "integer"], exclusiveMinimum: -5, maximum: 100 },
      parts: { maxProperties: 3, additionalProperties: { $ref: "#/components/schemas/PartInput" } },
      tags: { maxItems: 2, uniqueItems: true, items: { type: "string", minLength: 1 } },
      inside: { $ref: "#/components/schemas/ThingInput" },
      even: { description: "must be even" },
      picture: { contentEncoding: "base64" },
      age: { type: "string", pattern: expect.any(String) },
      more: { type: "object" },
    });
  });
});

describe("answers", () => {
  test("require all fields that are always present, with 64-bit integers as text, and have no rules", () => {
    const { properties, required, additionalProperties } = schema("Thing");
    expect(required).toEqual(["name", "kind", "weight", "picture", "size", "parts", "tags", "even"]);
    expect(additionalProperties).toBeUndefined();
    expect(properties.weight).toEqual({ type: "string", format: "int64", pattern: "^-?[0-9]+$" });
    expect(properties.name).toEqual({ type: "string" });
    expect(properties.kind).toEqual({ $ref: "#/components/schemas/Kind" });
  });

  test("are the field of response_body, or the whole message", () => {
    const content = (path: string, verb: string) => operation(path, verb).responses["200"].content;
    expect(content("/things/{thing_id}", "get")["application/json"].schema.$ref).toBe("#/components/schemas/Thing");
    expect(content("/things", "get")["application/json"].schema.$ref).toBe("#/components/schemas/FindResponse");
    expect(Object.keys(content("/things/{thing_id}:watch", "get"))).toEqual([
      "application/x-ndjson",
      "text/event-stream",
    ]);
  });

  test("to GET support If-None-Match, unless they are streams", () => {
    const { responses, parameters } = operation("/things", "get");
    expect(parameters).toContainEqual({ $ref: "#/components/parameters/IfNoneMatch" });
    expect(responses[304]).toEqual({ $ref: "#/components/responses/NotModified" });
    expect(responses[200].headers.ETag).toEqual({ $ref: "#/components/headers/ETag" });
    for (const { responses, parameters } of [
      operation("/things/{thing_id}:watch", "get"),
      operation("/things/{thing_id}", "patch"),
    ]) {
      expect(parameters).not.toContainEqual({ $ref: "#/components/parameters/IfNoneMatch" });
      expect(responses[304]).toBeUndefined();
      expect(responses[200].headers).toBeUndefined();
    }
  });

  test("include errors with the statuses and reasons of the access rule, the method and its body", () => {
    const statuses = (path: string, verb: string) => Object.keys(operation(path, verb).responses).map(Number);
    expect(statuses("/things", "get")).toEqual([200, 304, 400, 500, 503, 504]);
    expect(statuses("/things/{thing_id}", "get")).toEqual([200, 304, 400, 401, 404, 500, 503, 504]);
    expect(statuses("/things/{thing_id}", "patch")).toEqual([200, 400, 401, 403, 413, 415, 429, 500, 503, 504]);
    const { 404: notFound, 503: unavailable } = operation("/things/{thing_id}", "get").responses;
    expect(notFound.description).toContain("- `THING_NOT_FOUND`: When it is THING_NOT_FOUND.");
    expect(unavailable.headers).toHaveProperty("Retry-After");
    expect(notFound.headers).toBeUndefined();
  });
});

test("the access rule determines the security of an operation", () => {
  expect(operation("/things", "get").security).toEqual([]);
  expect(operation("/things/{thing_id}", "get").security).toEqual([{ accessToken: [] }]);
  expect(operation("/things/{thing_id}", "patch").security).toEqual([{ accessToken: ["admin"] }]);
});

test("the summary of an operation is its first sentence", () => {
  expect(operation("/things", "get")).toMatchObject({
    summary: "Finds things",
    description: "Finds things. There are many.",
  });
});

test("the parts of an example appear where they are sent, and its answer in the response", () => {
  const name = "test.shelf.v1.ShelfService.Update";
  const example = {
    name: "repaints",
    summary: "Repaints it",
    request: { thing: { name: "vase", kind: "KIND_ROUND" }, update_mask: "kind" },
    answer: { name: "vase" },
  };
  const gone = { ...example, name: "gone", status: 503, answer: { code: 14 } };
  const with_ = describeShelf({ examples: new Map([[name, [example, gone]]]) });
  const { parameters, requestBody, responses } = at(with_, "paths", "/things/{thing_id}", "patch");
  const exampleOf = (value: unknown) => ({ summary: "Repaints it", value });
  expect(named(parameters)).toMatchObject({
    thing_id: { examples: { repaints: exampleOf("vase") } },
    update_mask: { examples: { repaints: exampleOf("kind") } },
  });
  expect(requestBody.content["application/json"].examples.repaints).toEqual(exampleOf({ kind: "KIND_ROUND" }));
  expect(responses["200"].content["application/json"].examples).toEqual({ repaints: exampleOf({ name: "vase" }) });
  expect(responses["503"].content["application/json"].examples).toEqual({ gone: exampleOf({ code: 14 }) });
});

test("an unknown reason, and an example of an unknown method, are errors", () => {
  expect(() => describeShelf({ reasons: new Map() })).toThrow(/ShelfService.*INVALID_FIELDS/);
  const example = { name: "a", summary: "", request: {}, answer: {} };
  expect(() => describeShelf({ examples: new Map([["test.shelf.v1.ShelfService.Secret", [example]]]) })).toThrow(
    /Secret/,
  );
});

test("two methods with one route are refused, since one would take the other's place", () => {
  const services = reachableServices([service], true);
  expect(() => describeShelf({ services: [...services, ...services] })).toThrow("is a route of another method already");
});
