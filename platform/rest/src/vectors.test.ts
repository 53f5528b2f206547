/**
 * Interpretations of requests as tables: the examples in google/api/http.proto, and cases from the tests of Envoy
 * (grpc-httpjson-transcoding, path_matcher_test.cc), vanguard-go (router_test.go, params_test.go) and grpc-gateway
 * (mux_test.go). Where they differ, the specification decides, and the table says so.
 */
import { type DescService, type JsonValue, toJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { decodeRequest } from "./request.ts";
import { httpRule } from "./route.ts";
import { createRestRoutes } from "./route-trie.ts";
import { blankRoutes, lookUp } from "./testdata/blank-routes.ts";
import { testService } from "./testdata/descriptors.ts";

const specification = createRestRoutes(
  [testService("spec.v1.Messaging")],
  // "Using gRPC API Service Configuration"
  [
    httpRule({
      selector: "spec.v1.Messaging.Configured",
      pattern: { case: "get", value: "/configured/v1/messages/{message_id}/{sub.subfield}" },
    }),
  ],
);

/** The method and the message of a request line and its body. */
function decode(routes: typeof specification, line: string, body?: string): [string, JsonValue] {
  const [method = "", target = ""] = line.split(" ");
  const [path = "", query = ""] = target.split("?");
  const match = routes.match(method, path);
  if (match.kind !== "match") throw new Error(match.kind);
  const content =
    body === undefined ? null : { bytes: new TextEncoder().encode(body), contentType: "application/json" };
  const { message } = decodeRequest(match.route, match.variables, query, content);
  return [match.route.method.name, toJson(match.route.method.input, message, { useProtoFieldName: true }) as JsonValue];
}

describe("the examples of google/api/http.proto", () => {
  it.each<[string, string | undefined, string, JsonValue]>([
    ["GET /name/v1/messages/123456", undefined, "GetByName", { name: "messages/123456" }],
    [
      "GET /query/v1/messages/123456?revision=2&sub.subfield=foo",
      undefined,
      "GetWithQuery",
      { message_id: "123456", revision: "2", sub: { subfield: "foo" } },
    ],
    [
      "PATCH /field/v1/messages/123456",
      '{ "text": "Hi!" }',
      "UpdateField",
      { message_id: "123456", message: { text: "Hi!" } },
    ],
    ["PATCH /star/v1/messages/123456", '{ "text": "Hi!" }', "UpdateStar", { message_id: "123456", text: "Hi!" }],
    ["GET /either/v1/messages/123456", undefined, "GetByEither", { message_id: "123456" }],
    ["GET /either/v1/users/me/messages/123456", undefined, "GetByEither", { user_id: "me", message_id: "123456" }],
    [
      "GET /configured/v1/messages/123456/foo",
      undefined,
      "Configured",
      { message_id: "123456", sub: { subfield: "foo" } },
    ],
  ])("%s", (line, body, method, message) => {
    expect(decode(specification, line, body)).toEqual([method, message]);
  });

  it("a path variable of one segment decodes everything, one of several segments leaves %2F", () => {
    const routes = blankRoutes("GET /one/{x}", "GET /many/{x=**}", "GET /prefix/{x=p/*}");
    const value = (line: string) => (decode(routes, line)[1] as { x: string }).x;
    // Clients may encode everything but [-_.~0-9a-zA-Z], and "/" too in a single segment.
    const all = encodeURIComponent("-_.~aZ0/ ?#[]@!$&'()*+,;=%ü");
    expect(value(`GET /one/${all}`)).toBe("-_.~aZ0/ ?#[]@!$&'()*+,;=%ü");
    expect(value(`GET /many/a/${all}`)).toBe("a/-_.~aZ0%2F ?#[]@!$&'()*+,;=%ü");
    expect(value("GET /many/a%2fb/c%2Fd")).toBe("a%2fb/c%2Fd");
    expect(value("GET /prefix/p/a%2Fb")).toBe("p/a%2Fb");
    // An encoded percent is not the start of an encoded slash.
    expect(value("GET /many/a%252Fb")).toBe("a%2Fb");
    expect(value("GET /one/a%252Fb")).toBe("a%2Fb");
    expect(value("GET /one/a+b")).toBe("a+b");
  });
});

describe("Envoy", () => {
  const table = (name: string, templates: string[], lookups: Record<string, string>) =>
    it(name, () => {
      const routes = blankRoutes(...templates.map((template) => `GET ${template}`));
      for (const [path, expected] of Object.entries(lookups))
        expect([path, lookUp(routes, `GET ${path}`)]).toEqual([path, expected]);
    });

  // Envoy also matches "/a/", whose second segment is empty.
  table("WildCardMatchesRoot", ["/**"], { "/": "/**", "/a": "/**", "/a/b": "/**", "/a/": "404" });
  table("WildCardMatches", ["/a/**", "/b/*", "/c/*/d/**", "/c/*/d/e", "/c/f/d/e", "/"], {
    "/a/b": "/a/**",
    "/a/b/c": "/a/**",
    "/b/c": "/b/*",
    "b/c/d": "404",
    "/c/u/d/v": "/c/*/d/**",
    "/c/v/d/w/x": "/c/*/d/**",
    "/c/x/y/d/z": "404",
    "/c//v/d/w/x": "404",
    "/c/x/d/e": "/c/*/d/e",
    "/c/f/d/e": "/c/f/d/e",
    "/": "/",
  });
  // Its templates with segments after ** are left out: in the specification ** is last.
  table(
    "VariableBindings",
    [
      "/a/{x}/c/d/e",
      "/{x=a/*}/b/{y=*}/c",
      "/a/{x=b/*}/{y=d/**}",
      "/{x=*}/a",
      "/a/b/{x=*}",
      "/a/b/c/{x=**}",
      "/{x=*}/d/e/f/{y=**}",
    ],
    {
      "/a/book/c/d/e": "/a/{x}/c/d/e x=book",
      "/a/hello/b/world/c": "/{x=a/*}/b/{y=*}/c x=a/hello y=world",
      "/a/b/zoo/d/animal/tiger": "/a/{x=b/*}/{y=d/**} x=b/zoo y=d/animal/tiger",
      "/foo/a": "/{x=*}/a x=foo",
      "/a/b/foo": "/a/b/{x=*} x=foo",
      "/a/b/c/foo/bar/baz": "/a/b/c/{x=**} x=foo/bar/baz",
      "/foo/d/e/f/bar/baz": "/{x=*}/d/e/f/{y=**} x=foo y=bar/baz",
    },
  );
  table("CustomVerbIssue", ["/person", "/person/{id=*}", "/{x=**}:verb"], {
    "/person:verb": "/{x=**}:verb x=person",
    "/person/jason:verb": "/{x=**}:verb x=person/jason",
    "/animal:verb": "/{x=**}:verb x=animal",
    "/animal/cat:verb": "/{x=**}:verb x=animal/cat",
    "/person": "/person",
    "/person/jason": "/person/{id=*} id=jason",
    "/animal": "404",
    "/animal/cat": "404",
    "/person:other": "404",
    "/person/jason:other": "/person/{id=*} id=jason:other",
    "/animal:other": "404",
  });
  table("MatchUnregisteredCustomVerb", ["/person/{id=*}", "/person/{id=*}/name", "/{x=**}:verb"], {
    "/person/jason:verb/name": "/person/{id=*}/name id=jason:verb",
    "/person/jason:verb": "/{x=**}:verb x=person/jason",
  });
  table("VariableBindingsWithCustomVerb", ["/a/{y=*}:verb", "/a/{y=d/**}:verb", "/{x=*}/a:verb"], {
    "/a/world:verb": "/a/{y=*}:verb y=world",
    "/a/d/animal/tiger:verb": "/a/{y=d/**}:verb y=d/animal/tiger",
    "/foo/a:verb": "/{x=*}/a:verb x=foo",
  });
  table("CustomVerbMatches", ["/some/const:verb", "/some/*:verb", "/some/*/foo:verb", "/other/**:verb"], {
    "/some/const:verb": "/some/const:verb",
    "/some/other:verb": "/some/*:verb",
    "/some/other:verb/": "404",
    "/some/bar/foo:verb": "/some/*/foo:verb",
    "/some/foo1/foo2/foo:verb": "404",
    "/some/foo/bar:verb": "404",
    "/other/bar/foo:verb": "/other/**:verb",
  });
  table("CustomVerbMatch2", ["/{x=*}/{y=*}:verb"], {
    "/some:verb/const:verb": "/{x=*}/{y=*}:verb x=some:verb y=const",
  });
  table("CustomVerbMatch3", ["/foo/{x=*}"], { "/foo/other:verb": "/foo/{x=*} x=other:verb" });
  table("CustomVerbMatch4", ["/foo/*/hello"], { "/foo/other:verb/hello": "/foo/*/hello" });
  table("CustomVerbMatch5", ["/{x=**}:verb", "/{x=**}"], {
    "/some:verb/const:verb": "/{x=**}:verb x=some:verb/const",
    "/some:verb/const": "/{x=**} x=some:verb/const",
    "/some:verb2/const:verb2": "/{x=**} x=some:verb2/const:verb2",
  });
  table("RejectPartialMatches", ["/prefix/middle/suffix", "/prefix/middle", "/prefix"], {
    "/prefix/middle/suffix": "/prefix/middle/suffix",
    "/prefix/middle": "/prefix/middle",
    "/prefix": "/prefix",
    "/prefix/middle/suffix/other": "404",
    "/prefix/middle/other": "404",
    "/prefix/other": "404",
    "/other": "404",
  });
});

describe("vanguard-go", () => {
  const routes = blankRoutes(
    "GET /foo/bar/baz/buzz",
    "GET /foo/bar/{name}",
    "GET /foo/bar/{name}/baz/{child.id}",
    "GET /foo/bar/{name}/baz/{child.id}/buzz/{child.thing.id}",
    "GET /foo/bar/*/{child.thing.id}/{cat=**}",
    "GET /foo/bar/*/{child.thing.id}/{cat=**}:do",
    "GET /foo/bar/*/{child.thing.id}/{cat=**}:cancel",
    "GET /foo%2Fbar/%2A/%2A%2a/{x=%2A%2a/**}:%2c",
    "GET /trailing/**:slash",
    "GET /verb",
  );
  it.each([
    ["/bob/lob/law", "404"],
    ["/foo/bar/baz", "/foo/bar/{name} name=baz"],
    ["/foo/bob/lob/law", "404"],
    ["/foo/bar/baz/buzz", "/foo/bar/baz/buzz"],
    ["/foo/bar/baz/baz/buzz", "/foo/bar/{name}/baz/{child.id} name=baz child.id=buzz"],
    [
      "/foo/bar/1/baz/2/buzz/3",
      "/foo/bar/{name}/baz/{child.id}/buzz/{child.thing.id} name=1 child.id=2 child.thing.id=3",
    ],
    // In vanguard this does not match: there ** is one or more segments; the specification says zero or more.
    ["/foo/bar/baz/123", "/foo/bar/*/{child.thing.id}/{cat=**} child.thing.id=123 cat="],
    ["/foo/bar/baz/123/buzz", "/foo/bar/*/{child.thing.id}/{cat=**} child.thing.id=123 cat=buzz"],
    ["/foo/bar/baz/123/a/b:do", "/foo/bar/*/{child.thing.id}/{cat=**}:do child.thing.id=123 cat=a/b"],
    ["/foo/bar/baz/123/a/b:cancel", "/foo/bar/*/{child.thing.id}/{cat=**}:cancel child.thing.id=123 cat=a/b"],
    ["foo/bar/baz/123/buzz/buzz:blah", "404"],
    // Literals are compared decoded, including their slashes, which are not separators.
    ["/foo%2fbar/*/**/%2A*/q:,", "/foo%2Fbar/%2A/%2A%2a/{x=%2A%2a/**}:%2c x=%2A*/q"],
    // Vanguard has the opposite; an empty segment never matches, and ** may be empty.
    ["/trailing:slash", "/trailing/**:slash"],
    ["/trailing/:slash", "404"],
    ["/verb:", "404"],
    ["/verb", "/verb"],
  ])("%s", (path, expected) => {
    expect(lookUp(routes, `GET ${path}`)).toBe(expected);
  });
});

describe("grpc-gateway", () => {
  it.each<[string[], string, string]>([
    [[], "GET /", "404"],
    [["GET /foo"], "GET /foo", "/foo"],
    [["GET /foo"], "GET /bar", "404"],
    // grpc-gateway answers 501; HTTP's status for this is 405.
    [["GET /foo"], "POST /foo", "405 GET,HEAD"],
    [["GET /foo/{id=*}:archive"], "DELETE /foo/bar:archive", "405 GET,HEAD"],
    [["GET /foo/{id=*}", "GET /foo/{x=*}:verb"], "GET /foo/bar:verb", "/foo/{x=*}:verb x=bar"],
    [["GET /foo/{id=*}"], "GET /foo/bar:123", "/foo/{id=*} id=bar:123"],
    [["GET /foo/{id=*}", "POST /foo/{id=*}:verb"], "POST /foo/bar:verb", "/foo/{id=*}:verb id=bar"],
    [["GET /foo/{id=*}"], "GET foo", "404"],
    [["GET /foo/{id=*}/bar"], "GET /foo/with%2fa%2Fslash/bar", "/foo/{id=*}/bar id=with%2fa%2Fslash"],
    [["GET /foo/{id=**}"], "GET /foo/with%2fa%2Fslash", "/foo/{id=**} id=with%2fa%2Fslash"],
  ])("%s, %s", (templates, request, expected) => {
    expect(lookUp(blankRoutes(...templates), request)).toBe(expected);
  });
});

describe("query parameters", () => {
  const service: DescService = testService("library.v1.LibraryService");
  const routes = createRestRoutes([service]);
  const search = (query: string) => decode(routes, `GET /v1/search?${query}`)[1];

  // vanguard-go's params_test.go and grpc-gateway's query_test.go.
  it.each<[string, JsonValue]>([
    ["string_value=hello+world%21", { string_value: "hello world!" }],
    ["stringValue=json+name", { string_value: "json name" }],
    ["string_value=", {}],
    ["optional_string=", { optional_string: "" }],
    ["&&string_value=a&", { string_value: "a" }],
    ["string_value=a=b", { string_value: "a=b" }],
    ["bool_value=true", { bool_value: true }],
    ["bool_value=false", {}],
    ["int32_value=-2147483648", { int32_value: -2147483648 }],
    ["uint32_value=4294967295", { uint32_value: 4294967295 }],
    ["sint32_value=2147483647", { sint32_value: 2147483647 }],
    ["fixed32_value=7&sfixed32_value=-7", { fixed32_value: 7, sfixed32_value: -7 }],
    ["int64_value=9007199254740993", { int64_value: "9007199254740993" }],
    ["int64_value=-9223372036854775808", { int64_value: "-9223372036854775808" }],
    ["uint64_value=18446744073709551615", { uint64_value: "18446744073709551615" }],
    ["sint64_value=9223372036854775807", { sint64_value: "9223372036854775807" }],
    [
      "fixed64_value=18446744073709551615&sfixed64_value=-1",
      { fixed64_value: "18446744073709551615", sfixed64_value: "-1" },
    ],
    ["float_value=NaN", { float_value: "NaN" }],
    ["double_value=-Infinity", { double_value: "-Infinity" }],
    ["double_value=1.7976931348623157e308", { double_value: 1.7976931348623157e308 }],
    ["bytes_value=YWJjMTIzIT8kKiYoKSctPUB%2B", { bytes_value: "YWJjMTIzIT8kKiYoKSctPUB+" }],
    ["bytes_value=YWJjMTIzIT8kKiYoKSctPUB+", { bytes_value: "YWJjMTIzIT8kKiYoKSctPUB+" }],
    ["bytes_value=YWJjMTIzIT8kKiYoKSctPUB-", { bytes_value: "YWJjMTIzIT8kKiYoKSctPUB+" }],
    ["bytes_value=_w", { bytes_value: "/w==" }],
    ["genre=GENRE_POETRY", { genre: "GENRE_POETRY" }],
    ["genre=2", { genre: "GENRE_POETRY" }],
    ["genre=99", { genre: 99 }],
    ["nested.text=a&nested.nested.number=3", { nested: { text: "a", nested: { number: 3 } } }],
    ["strings=a&strings=b&strings=", { strings: ["a", "b", ""] }],
    ["int64s=9007199254740993&int64s=-1", { int64s: ["9007199254740993", "-1"] }],
    ["genres=GENRE_NOVEL&genres=2", { genres: ["GENRE_NOVEL", "GENRE_POETRY"] }],
    ["choice_text=a", { choice_text: "a" }],
    ["choice_number=0", { choice_number: 0 }],
    ["timestamp=2021-01-01T00:00:00Z", { timestamp: "2021-01-01T00:00:00Z" }],
    ["timestamp=2021-01-01T01:00:00.5%2B01:00", { timestamp: "2021-01-01T00:00:00.500Z" }],
    [
      "timestamps=2021-01-01T00:00:00Z&timestamps=2022-01-01T00:00:00Z",
      { timestamps: ["2021-01-01T00:00:00Z", "2022-01-01T00:00:00Z"] },
    ],
    ["duration=3.000000001s", { duration: "3.000000001s" }],
    ["duration=-1s", { duration: "-1s" }],
    ["field_mask=foo_bar,nested.some_text", { field_mask: "fooBar,nested.someText" }],
    ["fieldMask=fooBar,nested.someText", { field_mask: "fooBar,nested.someText" }],
    ["field_mask=*", { field_mask: "*" }],
    ["field_masks=foo_bar&field_masks=baz", { field_masks: ["fooBar", "baz"] }],
    ["nested.mask=a_b", { nested: { mask: "aB" } }],
    ["bool_wrapper=false", { bool_wrapper: false }],
    ["int32_wrapper=0", { int32_wrapper: 0 }],
    ["int64_wrapper=9007199254740993", { int64_wrapper: "9007199254740993" }],
    ["uint64_wrapper=18446744073709551615", { uint64_wrapper: "18446744073709551615" }],
    ["uint32_wrapper=4294967295", { uint32_wrapper: 4294967295 }],
    ["double_wrapper=-Infinity", { double_wrapper: "-Infinity" }],
    ["float_wrapper=NaN", { float_wrapper: "NaN" }],
    ["string_wrapper=hello+world", { string_wrapper: "hello world" }],
    // Vanguard accepts JSON text here and drops the quotes; a URL contains the value itself.
    ["string_wrapper=%22quoted%22", { string_wrapper: '"quoted"' }],
    ["bytes_wrapper=_w==", { bytes_wrapper: "/w==" }],
    ["struct=%7B%22a%22:[1]%7D", { struct: { a: [1] } }],
    ["value=true", { value: true }],
    ["otherName=a", { renamed: "a" }],
    ["renamed=a", { renamed: "a" }],
  ])("%s", (query, message) => {
    expect(search(query)).toEqual(message);
  });

  it.each<[string, string]>([
    ["unknown=1", "unknown: unknown query parameter"],
    ["nested.unknown=1", "nested.unknown: unknown query parameter"],
    ["string_value.more=1", "string_value.more: unknown query parameter"],
    ["timestamp.seconds=1", "timestamp.seconds: unknown query parameter"],
    ["nesteds.text=1", "nesteds.text: unknown query parameter"],
    ["labels.a=1", "labels.a: unknown query parameter"],
    ["=1", "unknown query parameter"],
    [".=1", ".: unknown query parameter"],
    ["__proto__=1", "__proto__: unknown query parameter"],
    ["nested.__proto__.text=1", "nested.__proto__.text: unknown query parameter"],
    ["nested=1", "nested: is a library.v1.EverythingRequest.Nested, which a URL cannot carry"],
    ["nesteds=1", "nesteds: is a library.v1.EverythingRequest.Nested, which a URL cannot carry"],
    ["any=1", "any: is a google.protobuf.Any, which a URL cannot carry"],
    ["labels=1", "labels: is a map, which a URL cannot carry"],
    ["string_value=a&string_value=b", "string_value: is given more than once"],
    ["string_value=a&stringValue=b", "string_value: is given more than once"],
    ["field_mask=a&field_mask=b", "field_mask: is given more than once"],
    ["bool_value=1", 'bool_value: expected true or false, got "1"'],
    ["bool_value", 'bool_value: expected true or false, got ""'],
    ["int32_value=", 'int32_value: expected an integer, got ""'],
    ["int32_value=1.5", 'int32_value: expected an integer, got "1.5"'],
    ["int32_value=0x10", 'int32_value: expected an integer, got "0x10"'],
    ["int32_value=1e3", 'int32_value: expected an integer, got "1e3"'],
    ["int32_value=2147483648", "int32_value: expected number (int32): 2147483648 out of range"],
    ["uint32_value=-1", "uint32_value: expected number (uint32): -1 out of range"],
    ["int64_value=9223372036854775808", "int64_value: expected bigint (int64)"],
    ["uint64_value=-1", "uint64_value: expected bigint (uint64)"],
    ["uint32_wrapper=-1", "uint32_wrapper: expected number (uint32): -1 out of range"],
    ["int64_wrapper=abc", 'int64_wrapper: expected an integer, got "abc"'],
    ["float_value=1e300", "float_value: expected number (float32): 1e+300 out of range"],
    ["double_value=0x10", 'double_value: expected a number, got "0x10"'],
    ["double_value=1e999", 'double_value: expected number (float64), got "1e999"'],
    ["genre=NOVEL", 'genre: "NOVEL" is not a value of library.v1.Genre'],
    ["genre=99999999999", "genre: expected"],
    ["bytes_value=!", "bytes_value: expected bytes in base64"],
    ["timestamp=yesterday", "timestamp: invalid RFC 3339 string"],
    ["duration=1h", "duration:"],
    ["struct=%7B", "struct: expected JSON text"],
    ["choice_text=a&choice_number=1", "choice: oneof set multiple times"],
    ["string_value=%zz", "string_value: is not valid percent-encoded UTF-8 in the query"],
    ["string_value=%ff", "string_value: is not valid percent-encoded UTF-8 in the query"],
    ["%zz=1", "%zz=1: is not valid percent-encoded UTF-8 in the query"],
  ])("refuses %s", (query, problem) => {
    expect(() => search(query)).toThrow(`[invalid_argument] ${problem}`);
  });
});
