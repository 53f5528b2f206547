import { describe, expect, it } from "vitest";
import { parsePathTemplate } from "./path-template.ts";

/** A template as its segments, variables (`name@start-end`) and verb. */
function show(template: string): string {
  const { segments, variables, verb } = parsePathTemplate(template);
  return [
    segments.map((segment) => (segment.kind === "literal" ? segment.text : segment.kind)).join(" "),
    ...variables.map(({ fieldPath, start, end }) => `${fieldPath.join(".")}@${start}-${end}`),
    ...(verb === "" ? [] : [`:${verb}`]),
  ].join("; ");
}

describe("parsePathTemplate", () => {
  // The valid ones of vanguard-go's path_parser_test.go that the specification's grammar allows.
  it.each([
    ["/", ""],
    ["/v1", "v1"],
    ["/{_}", "*; _@0-1"],
    ["/{hello}/world", "* world; hello@0-1"],
    ["/v1/{name=shelves/*/books/*}", "v1 shelves * books *; name@1-5"],
    ["/v1/{parent=shelves/*}/books", "v1 shelves * books; parent@1-3"],
    ["/v1/{book.name=shelves/*}", "v1 shelves *; book.name@1-3"],
    ["/v1:watch", "v1; :watch"],
    ["/v3/{name=events/*}:cancel", "v3 events *; name@1-3; :cancel"],
    ["/foo/bar/{name}/baz/{child.id}", "foo bar * baz *; name@2-3; child.id@4-5"],
    ["/foo/*/{thing.id}/{cat=**}:do", "foo * * **; thing.id@2-3; cat@3-Infinity; :do"],
    ["/a/**", "a **"],
    ["/foo%2Fbar/%2A/{x=%2A%2a/**}:%2c", "foo/bar * ** **; x@2-Infinity; :,"],
    ["/v1/{name=shelves}", "v1 shelves; name@1-2"],
    ["/a.b-c_d~e/$f", "a.b-c_d~e $f"],
  ])("reads %s", (template, expected) => {
    expect(show(template)).toBe(expected);
  });

  it.each([
    ["", 'expected "/" at position 1'],
    ["v1/foo", 'expected "/" at position 1'],
    ["/foo/", "expected a segment at position 6"],
    ["//foo", "expected a segment at position 2"],
    ["/:verb", "expected a segment at position 2"],
    ["/foo:", "expected a verb at position 6"],
    ["/foo:bar/baz", 'unexpected "/" at position 9'],
    ["/foo:bar:baz", 'unexpected ":" at position 9'],
    ["/foo?a=b", 'unexpected "?" at position 5'],
    ["/foo bar", 'unexpected " " at position 5'],
    // Envoy's http_template_test.cc.
    ["/a/:", "expected a segment at position 4"],
    ["/a/*:", "expected a verb at position 6"],
    ["/a/{x}:", "expected a verb at position 8"],
    ["/a/{x=b:verb}", 'expected "}" at position 8'],
    ["/a/{x=/b}", "expected a segment at position 7"],
    ["/a/{x}b", 'unexpected "b" at position 7'],
    ["/{}", "expected a field name at position 3"],
    ["/foo*", 'unexpected "*" at position 5'],
    ["/***", 'unexpected "*" at position 4'],
    ["/a/**/b", "** must be the last segment at position 7"],
    ["/a/**/**", "** must be the last segment at position 7"],
    ["/{x=**}/b", "** must be the last segment at position 9"],
    ["/a{x=b}", 'unexpected "{" at position 3'],
    ["/{1}", "expected a field name at position 3"],
    ["/{a.1}", "expected a field name at position 5"],
    ["/{a-}", 'expected "}" at position 4'],
    ["/{a/b}", 'expected "}" at position 4'],
    ["/{a", 'expected "}" at position 4'],
    ["/{a=}", "expected a segment at position 5"],
    ["/{a={b}}", "a variable must not contain another variable at position 5"],
    ["/{a}/{a}", "the variable a is bound twice"],
    ["/foo%1", 'unexpected "%" at position 5'],
    ["/foo%ff", '"foo%ff" does not decode to UTF-8'],
  ])("refuses %s", (template, problem) => {
    expect(() => parsePathTemplate(template)).toThrow(`path template "${template}": ${problem}`);
  });
});
