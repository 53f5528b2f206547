import { create, type DescMethod, type DescService, setExtension } from "@bufbuild/protobuf";
import { MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { DomainError } from "@shop/core";
import { Access, access, callers } from "@shop/gen/shop/common/v1/access_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { internalCredentialHeader } from "@shop/http-port";
import { expect, test } from "vitest";
import { createAuthorize, reachableServices } from "./access.ts";

function methodWith(rule: Access, named: readonly string[]): DescMethod {
  const method = DeadLetterService.method.listDeadLetters;
  const options = create(MethodOptionsSchema);
  setExtension(options, access, rule);
  if (named.length > 0) setExtension(options, callers, [...named]);
  return { ...method, proto: { ...method.proto, options } };
}

const serving = (method: DescMethod) => () =>
  reachableServices([{ ...DeadLetterService, methods: [method] } as unknown as DescService], false);

test("an INTERNAL method without callers is not served", () => {
  expect(serving(methodWith(Access.INTERNAL, []))).toThrow("is INTERNAL and declares no callers");
  expect(serving(methodWith(Access.INTERNAL, ["orders"]))).not.toThrow();
});

test.for([Access.PUBLIC, Access.AUTHENTICATED])(
  "a method of rule %s that declares callers, which it would ignore, is not served",
  (rule) => {
    expect(serving(methodWith(rule, ["orders"]))).toThrow("declares callers");
    expect(serving(methodWith(rule, []))).not.toThrow();
  },
);

const authorize = createAuthorize({
  verifyAccessToken: async () => ({ kind: "user", userId: "user_1", roles: [] }),
  verifyCredential: (credential) => (credential.startsWith("good ") ? credential.slice(5) : undefined),
});
const authorizePublic = createAuthorize({
  verifyAccessToken: async () => ({ kind: "user", userId: "user_1", roles: [] }),
  verifyCredential: undefined,
});

async function reasonFor(
  method: DescMethod,
  headers: Record<string, string>,
  by: typeof authorize = authorize,
): Promise<string> {
  const error = await by(method, new Headers(headers)).catch((reason: unknown) => reason);
  return error instanceof DomainError ? error.reason : JSON.stringify(error);
}
const calledBy = (name: string) => ({ [internalCredentialHeader]: name });

test("only the services that an INTERNAL method declares may call it", async () => {
  const method = methodWith(Access.INTERNAL, ["orders", "gateway"]);
  expect(await authorize(method, new Headers(calledBy("good orders")))).toEqual({ kind: "service", name: "orders" });
  expect(await authorize(method, new Headers(calledBy("good gateway")))).toEqual({ kind: "service", name: "gateway" });
  for (const caller of ["good users", "bad orders", "good ", "good orders,gateway", ""]) {
    expect(await reasonFor(method, calledBy(caller)), caller).toBe("INTERNAL_ONLY");
  }
  expect(await reasonFor(method, calledBy("good orders"), authorizePublic)).toBe("INTERNAL_ONLY");
});

test("a service may call an ADMIN method only if the method declares it", async () => {
  const token = { authorization: "Bearer a" };
  expect(await reasonFor(methodWith(Access.ADMIN, []), calledBy("good orders"))).toBe("ACCESS_TOKEN_MISSING");
  expect(await reasonFor(methodWith(Access.ADMIN, ["starter"]), calledBy("good orders"))).toBe("ACCESS_TOKEN_MISSING");
  // Nor does an invalid credential give a user more rights.
  expect(await reasonFor(methodWith(Access.ADMIN, []), { ...token, ...calledBy("good orders") })).toBe(
    "ADMIN_REQUIRED",
  );
  expect(await authorize(methodWith(Access.ADMIN, ["starter"]), new Headers(calledBy("good starter")))).toEqual({
    kind: "service",
    name: "starter",
  });
});

test.each([
  ["Bearer token", "token"],
  ["bearer    token", "token"],
  ["BEARER token  ", "token"],
])("%j carries a token", async (authorization, token) => {
  const seen: string[] = [];
  const authorize = createAuthorize({
    verifyCredential: undefined,
    async verifyAccessToken(given) {
      seen.push(given);
      return { kind: "anonymous" };
    },
  });
  await authorize(methodWith(Access.AUTHENTICATED, []), new Headers({ authorization }));
  expect(seen).toEqual([token]);
});

test.each(["Bearer", "Bearer ", "Bearertoken", "Bearer\ttoken", "Bearer a b", "Basic token", ""])(
  "%j carries no token",
  async (authorization) => {
    const authorize = createAuthorize({
      verifyCredential: undefined,
      verifyAccessToken: () => Promise.reject(new Error("asked")),
    });
    const header = new Headers({ authorization });
    await expect(authorize(methodWith(Access.AUTHENTICATED, []), header)).rejects.toMatchObject({
      reason: "ACCESS_TOKEN_MISSING",
    });
  },
);
