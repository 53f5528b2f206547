import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWTHeaderParameters,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createAccessTokenVerifier, type SigningKey, signAccessToken, signStreamTicket } from "./access-tokens.ts";
import { createRevocations } from "./revocations.ts";

async function makeKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid };
}

function publicOf({ d: _private, ...key }: SigningKey): SigningKey {
  return key as SigningKey;
}

const key = await makeKey("one");
const account = { userId: "user_1", roles: ["customer"], sessionId: "session_1", version: 1 };
const now = () => new Date();
const seconds = Math.floor(Date.now() / 1000);
const claims = {
  iss: "shop",
  aud: "shop",
  sub: "user_1",
  sid: "session_1",
  ver: 1,
  jti: "1",
  iat: seconds,
  exp: seconds + 60,
};
const nothingRevoked = createRevocations({ retentionMs: 0 });
const verifier = (revocations = nothingRevoked) => createAccessTokenVerifier(async () => [publicOf(key)], revocations);
const refused = expect.objectContaining({ kind: "unauthenticated", reason: "ACCESS_TOKEN_INVALID" });

test("a signed token identifies its user and its expiry", async () => {
  const token = await signAccessToken(key, account, new Date(seconds * 1000));
  const { userId, roles, sessionId, version } = account;
  const [issueTime, expireTime] = [new Date(seconds * 1000), new Date((seconds + 600) * 1000)];
  const facts = { sessionId, version, issueTime, expireTime };
  expect(await verifier()(token)).toEqual({ kind: "user", userId, roles, token: facts });
});

test("a token contains its issuer, audience, times and key id", async () => {
  const token = await signAccessToken(key, account, new Date(seconds * 1000));
  expect(decodeProtectedHeader(token)).toEqual({ alg: "EdDSA", kid: "one", typ: "at+jwt" });
  expect(decodeJwt(token)).toEqual({
    iss: "shop",
    aud: "shop",
    sub: "user_1",
    sid: "session_1",
    ver: 1,
    roles: ["customer"],
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    iat: seconds,
    exp: seconds + 600,
  });
});

describe("a token is refused", () => {
  const x = Buffer.from(key.x!, "base64url");
  const good = { alg: "EdDSA", kid: "one", typ: "at+jwt" };
  const sign = async (payload: object, header: JWTHeaderParameters = good, by: SigningKey = key) =>
    new SignJWT({ ...claims, ...payload }).setProtectedHeader(header).sign(await importJWK(by, "EdDSA"));

  test("but not the valid one from which the tokens below are derived", async () => {
    expect(await verifier()(await sign({}))).toMatchObject({ userId: "user_1" });
  });

  test.each([
    ["without a signature", async () => new UnsecuredJWT(claims).encode()],
    [
      "with the algorithm none",
      async () => `${base64({ ...good, alg: "none" })}.${base64(claims)}.${(await sign({})).split(".")[2]}`,
    ],
    [
      "signed with the public key as a shared secret",
      () => new SignJWT(claims).setProtectedHeader({ ...good, alg: "HS256" }).sign(x),
    ],
    ["with an unknown key", async () => sign({}, { ...good, kid: "two" }, await makeKey("two"))],
    ["with another key under a known id", async () => sign({}, good, await makeKey("one"))],
    ["with its own key embedded", async () => sign({}, { ...good, jwk: publicOf(key) }, await makeKey("one"))],
    ["of another type", () => sign({}, { ...good, typ: "JWT" })],
    ["without a type", () => sign({}, { alg: "EdDSA", kid: "one" })],
    ["that has expired", () => sign({ exp: seconds - 1 })],
    ["that is not valid yet", () => sign({ nbf: seconds + 60 })],
    ["issued in the future", () => sign({ iat: seconds + 60, exp: seconds + 120 })],
    ["that never expires", () => sign({ exp: undefined })],
    ["without a session", () => sign({ sid: undefined })],
    ["for another audience", () => sign({ aud: "else" })],
    ["of another issuer", () => sign({ iss: "else" })],
    ["that is not a token", async () => "nonsense"],
  ])("%s", async (_why, make) => {
    await expect(verifier()(await make())).rejects.toEqual(refused);
  });

  function base64(json: object): string {
    return Buffer.from(JSON.stringify(json)).toString("base64url");
  }
});

test("while keys can't be fetched the error is UNAVAILABLE, and known keys keep working", async () => {
  let isUp = true;
  const verify = createAccessTokenVerifier(async () => {
    if (!isUp) throw new Error("down");
    return [publicOf(key)];
  }, nothingRevoked);
  const [first, second] = [await signAccessToken(key, account, now()), await signAccessToken(key, account, now())];
  isUp = false;
  await expect(verify(first)).rejects.toMatchObject({ kind: "unavailable", reason: "TOKEN_KEYS_UNAVAILABLE" });
  isUp = true;
  await verify(first);
  isUp = false;
  expect(await verify(second)).toMatchObject({ userId: "user_1" });
});

test("a withdrawn key is forgotten after five minutes", async () => {
  const late = vi.spyOn(performance, "now");
  onTestFinished(() => late.mockRestore());
  let inUse = [publicOf(key)];
  const verify = createAccessTokenVerifier(async () => inUse, nothingRevoked);
  await verify(await signAccessToken(key, account, now()));
  inUse = [];
  await verify(await signAccessToken(key, account, now()));
  late.mockReturnValue(performance.now() + 5 * 60 * 1000 + 1);
  await verify(await signAccessToken(key, account, now()));
  await vi.waitFor(
    async () => await expect(verify(await signAccessToken(key, account, now()))).rejects.toEqual(refused),
  );
});

test("a cached token is refused once it has expired", async () => {
  const verify = verifier();
  const token = await signAccessToken(key, account, new Date(Date.now() - 599_000));
  await verify(token);
  await expect
    .poll(() => verify(token).catch((error) => error.reason), { timeout: 5_000 })
    .toBe("ACCESS_TOKEN_INVALID");
});

describe("a cached token is refused once", () => {
  const another = { ...account, sessionId: "session_2" };
  test.each([
    ["its session has ended, and no other is", { sessionId: "session_1", version: 0 }, "revoked", "good"],
    ["its account has changed, in every session", { sessionId: "", version: 2 }, "revoked", "revoked"],
    ["not if it was issued for the current version of the account", { sessionId: "", version: 1 }, "good", "good"],
  ] as const)("%s", async (_when, { sessionId, version }, ...expected) => {
    const revocations = createRevocations({ retentionMs: 600_000 });
    const verify = verifier(revocations);
    const tokens = await Promise.all([account, another].map((subject) => signAccessToken(key, subject, now())));
    await Promise.all(tokens.map((token) => verify(token)));
    revocations.add({ userId: "user_1", sessionId, version, time: now() });
    const outcomes = tokens.map((token) =>
      verify(token).then(
        () => "good",
        () => "revoked",
      ),
    );
    expect(await Promise.all(outcomes)).toEqual(expected);
  });
});

test("a ticket is valid for its user and one path, expires with its token, and is not an access token", async () => {
  const verify = verifier();
  const token = await signAccessToken(key, account, new Date(seconds * 1000));
  const user = await verify(token);
  if (user.kind !== "user" || user.token === undefined) throw new Error("no user");
  const ticket = await signStreamTicket(key, { ...user, token: user.token }, "/orders/1:watch");
  for (let time = 0; time < 2; time++) {
    expect(await verify(ticket, "/orders/1:watch")).toEqual(user);
    await expect(verify(ticket, "/orders/2:watch")).rejects.toThrow(refused);
    await expect(verify(ticket)).rejects.toThrow(refused);
    await expect(verify(token, "/orders/1:watch")).rejects.toThrow(refused);
  }
});
