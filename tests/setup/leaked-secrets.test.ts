import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureServiceKeys } from "@shop/tools/service-keys";
import { afterAll, expect, test } from "vitest";
import { leakedSecrets } from "./leaked-secrets.ts";
import { credentialsOf } from "./service-credentials.ts";

const secrets = { "the admin's password": "open sesame", TOKEN_KEYS_SECRET: "s3cr3t-of-the-platform" };
const dataDir = mkdtempSync(join(tmpdir(), "leaked-secrets-"));
ensureServiceKeys(dataDir);
const credential = credentialsOf(dataDir, "orders").issue("orders", "inventory", "call");
afterAll(() => rmSync(dataDir, { recursive: true }));

test.for([
  ["a token", `{"msg":"call","token":"${credential}"}`],
  ["a refresh token", `{"body":{"refresh_token":"${"aB3-_".repeat(12)}aB3-"}}`],
  ["an Authorization header", '{"headers":{"authorization":"Bearer abcdef"}}'],
  ["the hash of a password", '{"user":{"hash":"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"}}'],
  ["the admin's password", '{"body":"{\\"password\\":\\"open sesame\\"}"}'],
  ["TOKEN_KEYS_SECRET", '{"env":"TOKEN_KEYS_SECRET=s3cr3t-of-the-platform"}'],
])("%s in a log is found", ([what, line]) => {
  expect(leakedSecrets(`{"msg":"listening"}\n${line}`, secrets)).toEqual([`line 2: ${what}`]);
});

test("a log that only mentions secrets has no finding", () => {
  const log = `{"reason":"send an access token: Authorization: Bearer ..."}\n{"msg":"TOKEN_KEYS_SECRET is not set"}\n{"sha256":"${"0a".repeat(32)}"}`;
  expect(leakedSecrets(log, secrets)).toEqual([]);
});
