import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { decodeProtectedHeader, importJWK, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createServiceCredentials, type ServiceCredentials } from "./service-credentials.ts";
import { generateServiceKey, type PrivateServiceJwk, publicHalf } from "./service-jwk.ts";
import { keyRing } from "./service-keys.ts";

const jwks = Object.fromEntries(
  ["users", "inventory", "orders", "gateway"].map((service) => [service, generateServiceKey(service)]),
) as Record<"users" | "inventory" | "orders" | "gateway", PrivateServiceJwk>;
const published = Object.values(jwks).map(publicHalf);

/** The credentials in the process of one service. */
function processOf(service: keyof typeof jwks): ServiceCredentials {
  return createServiceCredentials(keyRing([jwks[service]], published, [service]));
}

afterEach(() => void vi.useRealTimers());

test("a credential identifies the calling service to its audience", () => {
  const credential = processOf("orders").issue("orders", "inventory", "call");
  expect(processOf("inventory").verify(credential, "inventory", "call")).toBe("orders");
});

test("a credential is a JSON Web Token that other libraries verify", async () => {
  const credential = processOf("orders").issue("orders", "inventory", "call");
  const { payload } = await jwtVerify(credential, await importJWK(publicHalf(jwks.orders), "EdDSA"), {
    issuer: "orders",
    audience: "inventory",
    typ: "service-call+jwt",
  });
  expect(payload.exp! - payload.iat!).toBe(60);
  expect(decodeProtectedHeader(credential).kid).toBe(jwks.orders.kid);
});

test("a service can't issue a credential of another one", () => {
  expect(() => processOf("orders").issue("gateway", "inventory", "call")).toThrow("gateway does not run");
});

test("a credential for one service is invalid at another one, cached or not", () => {
  const credential = processOf("users").issue("users", "inventory", "call");
  const orders = processOf("orders");
  expect(orders.verify(credential, "orders", "call")).toBeUndefined();
  // One process may host both.
  expect(orders.verify(credential, "inventory", "call")).toBe("users");
  expect(orders.verify(credential, "orders", "call")).toBeUndefined();
});

test("a credential to forward is not valid to call, and vice versa", () => {
  const gateway = processOf("gateway");
  const inventory = processOf("inventory");
  const forward = gateway.issue("gateway", "inventory", "forward");
  const call = gateway.issue("gateway", "inventory", "call");
  expect(inventory.verify(forward, "inventory", "forward")).toBe("gateway");
  expect(inventory.verify(forward, "inventory", "call")).toBeUndefined();
  expect(inventory.verify(call, "inventory", "call")).toBe("gateway");
  expect(inventory.verify(call, "inventory", "forward")).toBeUndefined();
});

test("a credential is reused for half a minute and valid for a minute, also if it is cached", () => {
  vi.useFakeTimers({ now: new Date("2026-11-30T12:00:00Z"), toFake: ["Date", "performance"] });
  const orders = processOf("orders");
  const inventory = processOf("inventory");
  const credential = orders.issue("orders", "inventory", "call");
  vi.advanceTimersByTime(29_999);
  expect(orders.issue("orders", "inventory", "call")).toBe(credential);
  vi.advanceTimersByTime(1);
  expect(orders.issue("orders", "inventory", "call")).not.toBe(credential);
  vi.advanceTimersByTime(29_999);
  expect(inventory.verify(credential, "inventory", "call")).toBe("orders");
  vi.advanceTimersByTime(1);
  expect(inventory.verify(credential, "inventory", "call")).toBeUndefined();
  expect(processOf("inventory").verify(credential, "inventory", "call")).toBeUndefined();
});

test("after a clock was set back the next call gets a new credential", () => {
  vi.useFakeTimers({ now: new Date("2026-11-30T12:00:00Z"), toFake: ["Date", "performance"] });
  const orders = processOf("orders");
  orders.issue("orders", "inventory", "call");
  vi.setSystemTime(new Date("2026-11-30T11:00:00Z"));
  const credential = orders.issue("orders", "inventory", "call");
  expect(processOf("inventory").verify(credential, "inventory", "call")).toBe("orders");
});

test("each audience and purpose has its own credential", () => {
  const orders = processOf("orders");
  const all = [
    orders.issue("orders", "inventory", "call"),
    orders.issue("orders", "users", "call"),
    orders.issue("orders", "inventory", "forward"),
  ];
  expect(new Set(all).size).toBe(3);
  expect(orders.issue("orders", "inventory", "call")).toBe(all[0]);
});

describe("a credential is refused", () => {
  const now = () => Math.floor(Date.now() / 1000);
  interface Forgery {
    readonly header?: Partial<Record<keyof JWTHeaderParameters | "b64", unknown>>;
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly key?: Parameters<SignJWT["sign"]>[0];
  }
  /** Signed with orders' key by default. */
  async function forged({ header, claims, key }: Forgery): Promise<string> {
    const payload = { iss: "orders", aud: "inventory", iat: now(), exp: now() + 60, ...claims };
    return await new SignJWT(payload)
      .setProtectedHeader({
        alg: "EdDSA",
        typ: "service-call+jwt",
        kid: jwks.orders.kid,
        ...header,
      } as JWTHeaderParameters)
      .sign(key ?? (await importJWK({ ...jwks.orders }, "EdDSA")));
  }
  const signed = (alg: string) => {
    const [head, body] = unsigned(alg, "").split(".");
    const key = createPrivateKey({ format: "jwk", key: { ...jwks.orders } });
    return `${head}.${body}.${sign(null, Buffer.from(`${head}.${body}`), key).toString("base64url")}`;
  };
  const unpublished = generateKeyPairSync("ed25519").privateKey.toCryptoKey({ name: "Ed25519" }, true, ["sign"]);
  /** With HMAC the public key would be the secret. */
  const publicAsSecret = Buffer.from(jwks.orders.x, "base64url");
  const unsigned = (alg: string, signature: string) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const head = part({ alg, typ: "service-call+jwt", kid: jwks.orders.kid });
    return `${head}.${part({ iss: "orders", aud: "inventory", iat: now(), exp: now() + 60 })}.${signature}`;
  };

  test("but not the valid one from which those below are forged", async () => {
    expect(processOf("inventory").verify(await forged({}), "inventory", "call")).toBe("orders");
  });

  test.for<readonly [string, () => string | Promise<string>]>([
    ["with another service as issuer", () => forged({ claims: { iss: "gateway" } })],
    ["with another service's key id", () => forged({ header: { kid: jwks.gateway.kid }, claims: { iss: "gateway" } })],
    ["signed with a key that is not published", () => forged({ key: unpublished })],
    ["with an unknown key id", () => forged({ header: { kid: "orders-unknown" } })],
    ["without a key id", () => forged({ header: { kid: undefined } })],
    ["for another service", () => forged({ claims: { aud: "users" } })],
    ["for several services", () => forged({ claims: { aud: ["inventory", "users"] } })],
    ["for none", () => forged({ claims: { aud: undefined } })],
    ["that has expired", () => forged({ claims: { iat: now() - 61, exp: now() - 1 } })],
    ["that never expires", () => forged({ claims: { exp: undefined } })],
    ["that lives for longer than a minute", () => forged({ claims: { exp: now() + 61 } })],
    ["issued in the future", () => forged({ claims: { iat: now() + 30, exp: now() + 60 } })],
    ["without an issue time", () => forged({ claims: { iat: undefined } })],
    ["without a type", () => forged({ header: { typ: undefined } })],
    ["of the type of access tokens", () => forged({ header: { typ: "at+jwt" } })],
    ["with an unknown critical header", () => forged({ header: { b64: true, crit: ["b64"] } })],
    ["signed by HMAC with the public key", () => forged({ header: { alg: "HS256" }, key: publicAsSecret })],
    [
      "with the algorithm EdDSA and an HMAC",
      async () => {
        const [, , mac] = (await forged({ header: { alg: "HS256" }, key: publicAsSecret })).split(".");
        return unsigned("EdDSA", mac!);
      },
    ],
    ["with the algorithm none and no signature", () => unsigned("none", "")],
    ["with the algorithm HS256 and a valid EdDSA signature", () => signed("HS256")],
    ["with the algorithm none and a valid EdDSA signature", () => signed("none")],
    ["with the algorithm none and another signature", async () => unsigned("none", (await forged({})).split(".")[2]!)],
    ["with the algorithm EdDSA and no signature", () => unsigned("EdDSA", "")],
    [
      "whose claims were changed",
      async () => {
        const [head, , signature] = (await forged({})).split(".");
        return `${head}.${(await forged({ claims: { jti: "changed" } })).split(".")[1]}.${signature}`;
      },
    ],
    ["that is far too long", () => forged({ claims: { note: "n".repeat(2_000) } })],
    ["that is empty", () => ""],
    ["that is not a token", () => "nonsense"],
    ["whose parts are not JSON", async () => `bm9uc2Vuc2U.bm9uc2Vuc2U.${(await forged({})).split(".")[2]}`],
  ])("%s", async ([, forge]) => {
    const credential = await forge();
    const inventory = processOf("inventory");
    expect(inventory.verify(credential, "inventory", "call")).toBeUndefined();
    expect(inventory.verify(credential, "inventory", "call"), "the second time").toBeUndefined();
  });
});
