import { expect, test } from "vitest";
import { NodeHeaders } from "./node-headers.ts";

/** The same operations on NodeHeaders and on web `Headers`. */
function both(work: (headers: Headers) => unknown): unknown[] {
  return [new NodeHeaders(), new Headers()].map((headers) => {
    try {
      return [work(headers), [...headers], headers.getSetCookie()];
    } catch (error) {
      return (error as Error).name;
    }
  });
}

type Step = readonly ["get" | "has" | "delete" | "getSetCookie", string] | readonly ["set" | "append", string, string];

test.for<readonly [string, ...Step[]]>([
  ["set and read", ["set", "b", "1"], ["set", "a", "2"], ["get", "B"]],
  ["set again", ["set", "a", "1"], ["set", "A", "2"], ["has", "a"]],
  ["set in capitals first", ["set", "A-b", "1"], ["set", "a-b", "2"]],
  ["a value with surrounding spaces", ["set", "a", " 1 "]],
  ["empty", ["set", "a", ""], ["get", "a"]],
  ["cookies", ["append", "set-cookie", "a=1"], ["append", "set-cookie", "b=2"]],
  ["a cookie that is set", ["set", "set-cookie", "a=1"], ["append", "set-cookie", "b=2"]],
  ["append after set", ["set", "a", "1"], ["append", "a", "2"], ["get", "a"]],
  ["deleted", ["set", "a", "1"], ["delete", "a"], ["get", "a"]],
  ["a value of two lines", ["set", "a", "1\r\nb: 2"]],
  ["a value beyond Latin-1", ["set", "a", "\u20ac"]],
  ["a name with a space", ["set", "a b", "1"]],
  [
    "a name on Object.prototype",
    ["get", "constructor"],
    ["has", "__proto__"],
    ["set", "constructor", "1"],
    ["get", "constructor"],
  ],
])("new headers behave like web Headers: %s", ([, ...steps]) => {
  const [ours, theirs] = both((headers) =>
    steps.map(([method, ...given]) => (headers[method] as (...given: string[]) => unknown).apply(headers, given)),
  );
  expect(ours).toEqual(theirs);
});

test("changes do not affect the headers that Node has parsed", () => {
  const parsed = { "x-a": "1" };
  const headers = new NodeHeaders(parsed);
  headers.set("x-a", "2");
  expect([headers.get("x-a"), parsed["x-a"]]).toEqual(["2", "1"]);
});
