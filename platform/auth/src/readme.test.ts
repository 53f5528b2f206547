import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { readmeExample } from "@shop/http-port/testing/readme-example";
import { exportJWK, generateKeyPair } from "jose";
import { expect, test } from "vitest";
import type { createAuthorize, SigningKey } from "./index.ts";

interface Example {
  authorizeUsers(
    key: SigningKey,
    publicKey: SigningKey,
  ): { authorize: ReturnType<typeof createAuthorize>; signIn(): Promise<string> };
}

test("the README's example authorizes an administrator with a token, and refuses calls without one", async () => {
  const { authorizeUsers } = await readmeExample<Example>("@shop/auth", import.meta.dirname);
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: "one" } as SigningKey;
  const { d: _private, ...publicKey } = key as SigningKey & { d: string };
  const { authorize, signIn } = authorizeUsers(key, publicKey as SigningKey);

  const method = DeadLetterService.method.listDeadLetters;
  const headers = new Headers({ authorization: `Bearer ${await signIn()}` });
  expect(await authorize(method, headers)).toMatchObject({ kind: "user", userId: "user_1" });
  await expect(authorize(method, new Headers())).rejects.toMatchObject({ reason: "ACCESS_TOKEN_MISSING" });
});
