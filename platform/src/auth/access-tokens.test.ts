import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";
import { createAccessTokenVerifier, type SigningKey, signAccessToken } from "./access-tokens.ts";

async function makeKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid };
}

function publicOf({ d: _private, ...key }: SigningKey): SigningKey {
  return key as SigningKey;
}

const key = await makeKey("one");
const account = { userId: "user_1", roles: ["customer"] };
const now = () => new Date();
const claims = { iss: "shop", aud: "shop", sub: "user_1", exp: Math.floor(Date.now() / 1000) + 60 };
const verifier = () => createAccessTokenVerifier(async () => [publicOf(key)]);
const refused = expect.objectContaining({ kind: "unauthenticated", reason: "ACCESS_TOKEN_INVALID" });

test("a signed token tells whose it is, and until when", async () => {
  const expireTime = new Date("2100-01-01T00:10:00Z");
  const token = await signAccessToken(key, account, new Date("2100-01-01"));
  expect(await verifier()(token)).toEqual({ kind: "user", ...account, expireTime });
});

describe("a token is refused", () => {
  const x = Buffer.from(key.x!, "base64url");
  const sign = (payload: object, header = { alg: "EdDSA", kid: "one" }, by: SigningKey = key) =>
    import("jose").then(async ({ importJWK }) =>
      new SignJWT({ ...claims, ...payload }).setProtectedHeader(header).sign(await importJWK(by, "EdDSA")),
    );
  test.each([
    ["without a signature", async () => new UnsecuredJWT(claims).encode()],
    [
      "signed with the public key as a shared secret",
      () => new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "one" }).sign(x),
    ],
    ["of a key that nobody knows", async () => sign({}, { alg: "EdDSA", kid: "two" }, await makeKey("two"))],
    ["of another key under a known name", async () => sign({}, { alg: "EdDSA", kid: "one" }, await makeKey("one"))],
    ["that has expired", () => sign({ exp: Math.floor(Date.now() / 1000) - 1 })],
    ["that is not valid yet", () => sign({ nbf: Math.floor(Date.now() / 1000) + 60 })],
    ["for another audience", () => sign({ aud: "else" })],
    ["of another issuer", () => sign({ iss: "else" })],
    ["that is not a token", async () => "nonsense"],
  ])("%s", async (_why, make) => {
    await expect(verifier()(await make())).rejects.toEqual(refused);
  });
});

test("while the keys can't be had the answer is UNAVAILABLE, and known keys go on to work", async () => {
  let isUp = true;
  const verify = createAccessTokenVerifier(async () => {
    if (!isUp) throw new Error("down");
    return [publicOf(key)];
  });
  const [first, second] = [await signAccessToken(key, account, now()), await signAccessToken(key, account, now())];
  isUp = false;
  await expect(verify(first)).rejects.toMatchObject({ kind: "unavailable", reason: "TOKEN_KEYS_UNAVAILABLE" });
  isUp = true;
  await verify(first);
  isUp = false;
  expect(await verify(second)).toMatchObject({ userId: "user_1" });
});

test("a remembered token is refused once it has expired", async () => {
  const verify = verifier();
  const token = await signAccessToken(key, account, new Date(Date.now() - 599_000));
  await verify(token);
  await expect
    .poll(() => verify(token).catch((error) => error.reason), { timeout: 5_000 })
    .toBe("ACCESS_TOKEN_INVALID");
});
