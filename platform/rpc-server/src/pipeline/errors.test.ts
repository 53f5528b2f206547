import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { isUnavailable } from "./errors.ts";

// As the address of a container that was removed answers, or does not exist any more.
test.each(["EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET"])(
  "a service whose address gives %s is unavailable, so that a read is retried on another replica",
  (code) => {
    const cause = Object.assign(new Error(code), { code });
    expect(isUnavailable(new ConnectError(code, Code.Internal, undefined, undefined, cause))).toBe(true);
  },
);

test("a failed request is not taken for an unavailable service", () => {
  expect(isUnavailable(new ConnectError("a bug", Code.Internal, undefined, undefined, new Error("a bug")))).toBe(false);
});
