import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { testService } from "@shop/rest/testing/descriptors";
import { describe, expect, test } from "vitest";
import { errorsInterceptor } from "./errors.ts";
import { idempotencyInterceptor, idempotencyKeyPattern } from "./request-id.ts";

const library = testService("library.v1.LibraryService");
const [createShelf, getShelf] = [library.method.createShelf, library.method.getShelf] as DescMethodUnary[];

/** The request that the method receives. */
async function seenBy(method: DescMethodUnary, fields: object, key: string | undefined) {
  let seen: unknown;
  const see = (request: Message) => {
    seen = request;
    return {};
  };
  const transport = createRouterTransport(
    (router) => router.service(library, { createShelf: see, getShelf: see } as never),
    { router: { interceptors: [errorsInterceptor(), idempotencyInterceptor()] } },
  );
  const header = new Headers(key === undefined ? {} : { "idempotency-key": key });
  await transport.unary(method, undefined, undefined, header, create(method.input, fields as never));
  return seen as { readonly requestId: string; readonly name: string };
}

const named = async (key: string | undefined, requestId = "") =>
  (await seenBy(createShelf!, { requestId }, key)).requestId;

const longest = "k".repeat(128);

test("the Idempotency-Key header sets the request's request_id", async () => {
  expect(await named("one")).toBe("one");
  expect(await named(undefined, "one")).toBe("one");
  expect(await named("one", "one")).toBe("one");
  expect(await named(undefined)).toBe("");
  await expect(named("one", "two")).rejects.toThrow("name different requests");
});

test("a quoted key, as in the draft, equals the bare key", async () => {
  expect(await named('"one"')).toBe("one");
  expect(await named('"one"', "one")).toBe("one");
  expect(await named(String.raw`"a\"b\\c"`)).toBe(String.raw`a"b\c`);
  expect(await named(`"${longest}"`)).toBe(longest);
});

describe("an invalid key is refused", () => {
  test.each([
    ["a blank", "o n e"],
    ["a blank in quotes", '"o n e"'],
    ["several", "one, two"],
    ["nothing in quotes", '""'],
    ["an unclosed quote", '"one'],
    ["a quote in the middle", '"on"e"'],
    ["an invalid escape", String.raw`"o\ne"`],
    ["parameters", '"one";v=1'],
    ["too many characters", `${longest}k`],
    ["too many characters in quotes", `"${longest}k"`],
    ["other letters", "cl\u00e9"],
  ])("%s", async (_what, key) => {
    expect(new RegExp(idempotencyKeyPattern).test(key)).toBe(false);
    await expect(named(key)).rejects.toThrow("Idempotency-Key");
  });
});

test("methods without a request_id ignore the header, even if it is invalid", async () => {
  expect((await seenBy(getShelf!, { name: "shelves/1" }, "o n e")).name).toBe("shelves/1");
});
