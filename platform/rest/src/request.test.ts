import { create, type JsonObject, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { BadRequestSchema } from "./google-types.ts";
import { httpStatus } from "./http-status.ts";
import { type DecodedRequest, decodeRequest } from "./request.ts";
import { httpRule } from "./route.ts";
import { createRestRoutes } from "./route-trie.ts";
import { testMessage, testService } from "./testdata/descriptors.ts";

const routes = createRestRoutes([testService("library.v1.LibraryService"), testService("spec.v1.Messaging")]);

type Body = string | { bytes: Uint8Array; contentType: string | null };

function decode(line: string, body?: Body): DecodedRequest & { json: JsonObject } {
  const [method = "", target = ""] = line.split(" ");
  const [path = "", query = ""] = target.split("?");
  const match = routes.match(method, path);
  if (match.kind !== "match") throw new Error(match.kind);
  const content =
    typeof body === "string"
      ? { bytes: new TextEncoder().encode(body), contentType: "application/json" }
      : (body ?? null);
  const decoded = decodeRequest(match.route, match.variables, query, content);
  return {
    ...decoded,
    // Lazy, since some FieldMasks have no JSON.
    get json() {
      return toJson(match.route.method.input, decoded.message, { useProtoFieldName: true }) as JsonObject;
    },
  };
}

/** The violations in the decoding error, as `field: description`. */
function violations(line: string, body?: Body): string[] {
  const error = failure(line, body);
  return error
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations.map((it) => `${it.field}: ${it.description}`));
}

function failure(line: string, body?: Body): ConnectError {
  try {
    decode(line, body);
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error(`${line} was not refused`);
}

/** Paths of the mask as the service sees them; JSON can't express `line_2`. */
function mask(message: Message): string[] | undefined {
  return (message as Message & { updateMask?: { paths: string[] } }).updateMask?.paths;
}

describe("the body", () => {
  it("is the field that the rule names, and other fields come from the query", () => {
    expect(decode("POST /v1/shelves?request_id=r1", '{"theme":"Music","capacity":"3"}').json).toEqual({
      shelf: { theme: "Music", capacity: "3" },
      request_id: "r1",
    });
  });

  it("is the whole message for *, and then there is no query", () => {
    const line = "POST /v1/shelves/1/books/2:move";
    expect(decode(line, '{"to_shelf":"shelves/9"}').json).toEqual({
      name: "shelves/1/books/2",
      to_shelf: "shelves/9",
    });
    expect(violations(`${line}?to_shelf=x`, "{}")).toEqual(["to_shelf: unknown query parameter"]);
  });

  it("may be a repeated field", () => {
    expect(decode("PUT /v1/books/1/tags", '["a","b"]').json).toEqual({ isbn: "1", tags: ["a", "b"] });
    expect(violations("PUT /v1/books/1/tags", '{"tags":[]}')).toEqual(["tags: expected Array, got object"]);
    expect(violations("PUT /v1/books/1/tags", '["a",1]')).toEqual(["tags: list item #2: expected string, got 1"]);
  });

  it("may use proto names and lowerCamelCase, but each field only once", () => {
    expect(decode("POST /v1/search", '{"string_value":"a","int32Value":1}').json).toEqual({
      string_value: "a",
      int32_value: 1,
    });
    expect(violations("POST /v1/search", '{"string_value":"a","stringValue":"b"}')).toEqual([
      "string_value: set multiple times",
    ]);
    expect(violations("POST /v1/search", '{"nested":{"text":"a","t\\u0065xt":"b"}}')).toEqual([
      ': the request body repeats the key "text"',
    ]);
    expect(decode("POST /v1/search", '{"nesteds":[{"text":"a"},{"text":"b"}]}').json).toEqual({
      nesteds: [{ text: "a" }, { text: "b" }],
    });
  });

  it("may be absent, which leaves the field unset", () => {
    for (const body of [undefined, ""]) {
      expect(decode("POST /v1/shelves", body).json).toEqual({});
      expect(decode("POST /v1/search", body).json).toEqual({});
    }
    expect(decode("POST /v1/shelves", "null").json).toEqual({});
  });

  it("is refused if the rule has none", () => {
    expect(violations("DELETE /v1/shelves/1/books/2", "{}")).toEqual([
      ": DELETE /v1/{name=shelves/*/books/*} takes no request body",
    ]);
    expect(decode("DELETE /v1/shelves/1/books/2", "").json).toEqual({ name: "shelves/1/books/2" });
  });

  it("must have a JSON Content-Type, otherwise it is HTTP 415", () => {
    const bytes = new TextEncoder().encode("{}");
    for (const contentType of [null, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]) {
      const error = failure("POST /v1/shelves", { bytes, contentType });
      expect([contentType, httpStatus(error)]).toEqual([contentType, 415]);
    }
    for (const contentType of ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"])
      expect(decode("POST /v1/shelves", { bytes, contentType }).json).toEqual({ shelf: {} });
  });

  it.each([
    ["{", "the request body is not valid JSON"],
    ['{"theme":"secret", oops}', "the request body is not valid JSON at position 19"],
    ["{}{}", "the request body is not valid JSON"],
    ["", undefined],
  ])("that is %j gives a clear error without quoting it", (body, problem) => {
    if (problem === undefined) return;
    const error = failure("POST /v1/shelves", body);
    expect(error.rawMessage).toContain(problem);
    expect(error.rawMessage).not.toContain("secret");
    expect(httpStatus(error)).toBe(400);
  });

  it("must be UTF-8", () => {
    const bytes = Uint8Array.from([0x22, 0xff, 0x22]);
    expect(violations("POST /v1/shelves", { bytes, contentType: "application/json" })).toEqual([
      ": the request body is not valid UTF-8",
    ]);
  });

  it("may nest 100 levels and no more, however it is written", () => {
    const nested = (levels: number) => `${'{"nested":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
    expect(decode("POST /v1/search", nested(100)).json).toHaveProperty("nested.nested");
    const refused = [": the request body nests deeper than 100 levels"];
    expect(violations("POST /v1/search", nested(101))).toEqual(refused);
    expect(violations("POST /v1/search", "[".repeat(500_000))).toEqual(refused);
    expect(violations("POST /v1/search", `{"value":${"[".repeat(100)}${"]".repeat(100)}}`)).toEqual(refused);
    expect(decode("POST /v1/search", `{"string_value":"${"[{".repeat(200)}"}`).json).toHaveProperty("string_value");
    expect(decode("POST /v1/search", `{"string_value":"${'\\"[{'.repeat(200)}"}`).json).toHaveProperty("string_value");
  });

  it("keeps all digits of 64-bit integers, quoted or not", () => {
    const body = `{"int64_value":9007199254740993,"uint64_value":18446744073709551615,"int64s":[-9223372036854775808,1],
      "counts":{"a":9007199254740995},"int64_wrapper":9007199254740997,"fixed64_value":"9007199254740999",
      "double_value":12345678901234567890,"struct":{"n":12345678901234567890},"nested":{"text":"1234567890123456789"}}`;
    expect(decode("POST /v1/search", body).json).toEqual({
      int64_value: "9007199254740993",
      uint64_value: "18446744073709551615",
      int64s: ["-9223372036854775808", "1"],
      counts: { a: "9007199254740995" },
      int64_wrapper: "9007199254740997",
      fixed64_value: "9007199254740999",
      double_value: 12345678901234567000,
      struct: { n: 12345678901234567000 },
      nested: { text: "1234567890123456789" },
    });
    expect(violations("POST /v1/search", '{"int64_value":9223372036854775808}')[0]).toMatch(/^int64_value: expected/);
    expect(violations("POST /v1/search", '{"string_value":9007199254740993}')[0]).toMatch(/^string_value: expected/);
    expect(violations("POST /v1/search", '{"unknown":9007199254740993}')).toEqual(["unknown: unknown field"]);
  });

  it("may contain FieldMasks in proto names", () => {
    const body = '{"field_mask":"foo_bar,bazQux","nested":{"mask":"a_b"},"nested_map":{"k":{"mask":"c_d"}}}';
    expect(decode("POST /v1/search", body).json).toEqual({
      field_mask: "fooBar,bazQux",
      nested: { mask: "aB" },
      nested_map: { k: { mask: "cD" } },
    });
  });

  it("can't modify prototypes", () => {
    for (const body of ['{"__proto__":{"string_value":"x"}}', '{"__proto__":9007199254740993}'])
      expect(violations("POST /v1/search", body)).toEqual(["__proto__: unknown field"]);
    expect(({} as { string_value?: string }).string_value).toBeUndefined();
  });
});

describe("unknown and invalid fields", () => {
  it("are all reported, with their path in the request", () => {
    const body = `{"title":1,"prise":5,"author":{"given":"x","address":{"city":true}},"editors":[{},{"x":1}],
      "translators":{"de":{"y":1}},"page_count":2147483648,"genre":"NOVEL","publish_time":"now"}`;
    expect(violations("PATCH /v1/shelves/1/books/2", body)).toEqual([
      "book.title: expected string, got 1",
      "book.prise: unknown field",
      "book.author.given: unknown field",
      "book.author.address.city: expected string, got true",
      "book.editors[1].x: unknown field",
      'book.translators["de"].y: unknown field',
      "book.page_count: expected number (int32): 2147483648 out of range",
      'book.genre: "NOVEL" is not a value of library.v1.Genre',
      "book.publish_time: invalid RFC 3339 string",
    ]);
  });

  it("are reported for bodies that are not objects", () => {
    expect(violations("POST /v1/search", "[]")).toEqual([": is not a JSON object"]);
    expect(violations("POST /v1/shelves", '"x"')).toEqual(["shelf: is not a JSON object"]);
    expect(violations("POST /v1/search", '{"nesteds":{}}')).toEqual(["nesteds: expected Array, got object"]);
    expect(violations("POST /v1/search", '{"nesteds":[null]}')).toHaveLength(1);
    expect(violations("POST /v1/search", '{"[x.y]":1}')).toHaveLength(1);
  });

  it("are reported by name for a query that nests too deep", () => {
    const nested = (levels: number) => `GET /v1/search?${"nested.".repeat(levels - 1)}text=x`;
    expect(decode(nested(100)).json).toHaveProperty("nested.nested");
    for (const levels of [101, 30_000])
      expect(violations(nested(levels))).toEqual([
        expect.stringMatching(/^(nested\.){14}.*: nests deeper than 100 levels$/),
      ]);
  });

  it("are reported in at most 20 violations", () => {
    const body = JSON.stringify(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 1])));
    expect(violations("POST /v1/search", body)).toHaveLength(20);
  });
});

describe("precedence", () => {
  it("the path may be repeated in the body and in the query, in any form of the value, and the body wins over the query", () => {
    for (const key of ["message_id", "messageId"])
      for (const value of ["1", ""])
        expect(decode("PATCH /star/v1/messages/1", `{"${key}":"${value}"}`).json).toEqual({ message_id: "1" });
    for (const value of ["7", "0"])
      expect(decode(`POST /v1/search/7?int64_value=${value}`, '{"text":"b"}').json).toEqual({
        int64_value: "7",
        nested: { text: "b" },
      });
    expect(decode("PATCH /v1/shelves/1/books/2", '{"name":"shelves/1/books/2","title":"T"}').json).toMatchObject({
      book: { name: "shelves/1/books/2", title: "T" },
    });
    expect(decode("POST /v1/search/7?nested.text=q&nested.number=1", '{"text":"b"}').json).toEqual({
      int64_value: "7",
      nested: { text: "b" },
    });
    expect(decode("POST /v1/search/7?nested.text=q&string_value=s").json).toEqual({
      int64_value: "7",
      string_value: "s",
      nested: { text: "q" },
    });
  });

  it("a body or query that contradicts the path is refused, with both values", () => {
    for (const key of ["message_id", "messageId"])
      expect(violations("PATCH /star/v1/messages/1", `{"${key}":"2"}`)).toEqual([
        'message_id: is "1" in the path, but "2" beside it',
      ]);
    expect(violations("PATCH /star/v1/messages/1", '{"message_id":{}}')).toEqual([
      'message_id: is "1" in the path, but {} beside it',
    ]);
    expect(violations("POST /v1/search/7?int64_value=5", '{"text":"b"}')).toEqual([
      'int64_value: is "7" in the path, but "5" beside it',
    ]);
    for (const [line, path] of [
      ["POST /v1/shelves/1/books/2:move", "name"],
      ["PATCH /v1/shelves/1/books/2", "book.name"],
    ])
      expect(violations(line!, '{"name":"other"}')).toEqual([
        `${path}: is "shelves/1/books/2" in the path, but "other" beside it`,
      ]);
    const long = "x".repeat(10_000);
    expect(violations("PATCH /star/v1/messages/1", `{"message_id":"${long}"}`)[0]!.length).toBeLessThan(400);
  });

  it("a path value is merged into the body's message under either name", () => {
    const rule = httpRule({
      selector: "spec.v1.Blank.M0",
      pattern: { case: "post", value: "/{other_child.id}" },
      body: "*",
    });
    const { match } = createRestRoutes([testService("spec.v1.Blank")], [rule]);
    for (const key of ["other_child", "otherChild"]) {
      const bytes = new TextEncoder().encode(`{"${key}":{"id":"path","thing":{"id":"t","mask":"a_b"}}}`);
      const found = match("POST", "/path");
      if (found.kind !== "match") throw new Error(found.kind);
      const content = { bytes, contentType: "application/json" };
      expect(decodeRequest(found.route, found.variables, "", content).message).toMatchObject({
        otherChild: { id: "path", thing: { id: "t", mask: { paths: ["a_b"] } } },
      });
    }
  });

  it("a path value is set under a body that is null", () => {
    expect(decode("PATCH /v1/shelves/1/books/2", "null").json).toMatchObject({
      book: { name: "shelves/1/books/2" },
    });
    expect(violations("PATCH /v1/shelves/1/books/2", "[]")).toEqual(["book: is not a JSON object"]);
  });

  it("a path value must fit its field", () => {
    expect(violations("POST /v1/search/seven")).toEqual(['int64_value: expected an integer, got "seven"']);
    expect(violations("GET /v1/shelves/%ff")).toEqual(["name: is not valid percent-encoded UTF-8 in the path"]);
    expect(violations("GET /v1/shelves/%")).toEqual(["name: is not valid percent-encoded UTF-8 in the path"]);
  });
});

it("100,000 percent signs in a path or query, valid or not, take no longer than other text", () => {
  for (const unit of ["%2F", "%25", "%252F", "%41", "%", "%zz", "%ff", "%C3%28", "%2", "+"]) {
    const text = unit.repeat(100_000);
    for (const line of [`GET /v1/files/${text}`, `GET /v1/shelves/${text}`, `GET /v1/search?string_value=${text}`]) {
      const start = performance.now();
      try {
        decode(line);
      } catch (error) {
        expect(error).toMatchObject({ code: Code.InvalidArgument });
      }
      // A quadratic decoder takes minutes.
      expect([line.slice(0, 40), performance.now() - start < 2_000]).toEqual([line.slice(0, 40), true]);
    }
  }
});

describe("PATCH", () => {
  const line = "PATCH /v1/shelves/1/books/2";

  it("fills the absent mask with a path per leaf of the body, in proto names, without what the path binds", () => {
    const body = `{"name":"shelves/1/books/2","title":"","author":{"givenName":"A","address":{"city":null}},"tags":[],
      "labels":{"a":"b"},"publishTime":"2021-01-01T00:00:00Z","editors":[{"givenName":"E"}],"line_2":"x",
      "genre":0,"extra":{"a":1}}`;
    expect(mask(decode(line, body).message)).toEqual([
      "title",
      "author.given_name",
      "author.address.city",
      "tags",
      "labels",
      "publish_time",
      "editors",
      "line_2",
      "genre",
      "extra",
    ]);
    expect(mask(decode(line, '{"author":{}}').message)).toEqual(["author"]);
    expect(mask(decode(line, '{"author":null}').message)).toEqual(["author"]);
  });

  it("keeps the caller's mask, and treats an empty one as absent", () => {
    expect(mask(decode(`${line}?update_mask=page_count,line_2`, '{"title":"T"}').message)).toEqual([
      "page_count",
      "line_2",
    ]);
    expect(mask(decode(`${line}?updateMask=pageCount`, '{"title":"T"}').message)).toEqual(["page_count"]);
    expect(mask(decode(`${line}?update_mask=`, '{"title":"T"}').message)).toEqual(["title"]);
  });

  it("without a body has no mask, and with an empty object an empty one", () => {
    expect(mask(decode(line).message)).toBeUndefined();
    expect(mask(decode(line, "{}").message)).toEqual([]);
  });

  it("reports the body's fields for every method", () => {
    expect(decode("POST /v1/shelves", '{"theme":"x","capacity":0}').bodyPaths()).toEqual(["theme", "capacity"]);
    expect(decode("POST /v1/search", '{"nested":{"text":"x"},"int32Value":0}').bodyPaths()).toEqual([
      "nested.text",
      "int32_value",
    ]);
    expect(decode("GET /v1/search").bodyPaths()).toEqual([]);
  });
});

describe("google.api.HttpBody", () => {
  const bytes = Uint8Array.from([0, 255, 10]);
  it("takes the bytes and their type unchanged, as a field or as the request", () => {
    const expected = { contentType: "image/png", data: "AP8K" } satisfies JsonValue;
    const inField = decode("PUT /v1/files/a/b.png", { bytes, contentType: "image/png" });
    expect(inField.json).toEqual({
      path: "a/b.png",
      content: { content_type: expected.contentType, data: expected.data },
    });
    const whole = decode("POST /v1/raw", { bytes, contentType: "image/png" });
    expect(whole.json).toEqual({ content_type: "image/png", data: "AP8K" });
    expect(whole.message).toMatchObject({ $typeName: "google.api.HttpBody", data: bytes });
  });

  it("without bytes is set if it has a type", () => {
    const { json } = decode("PUT /v1/files/a", { bytes: new Uint8Array(), contentType: "image/png" });
    expect(json).toEqual({ path: "a", content: { content_type: "image/png" } });
  });

  it("is unset without a body", () => {
    expect(decode("PUT /v1/files/a").json).toEqual({ path: "a" });
  });
});

it("a decoded message equals one created from the descriptor", () => {
  const { message } = decode("GET /v1/shelves/1/books?page_size=3&filter.author.given_name=A");
  expect(message).toEqual(
    create(testMessage("library.v1.ListBooksRequest"), {
      parent: "shelves/1",
      pageSize: 3,
      filter: create(testMessage("library.v1.Book"), {
        author: create(testMessage("library.v1.Author"), { givenName: "A" } as never),
      } as never),
    } as never),
  );
});
