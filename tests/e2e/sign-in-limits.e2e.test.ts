import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { beforeAll, describe, expect, test } from "vitest";
import { credentialsOf, serviceHeaders } from "../setup/service-credentials.ts";
import { protocols } from "./clients.ts";
import { password, shop, signUp, unique } from "./shopping.ts";

/** The limits that tests/setup sets. */
const freeFailures = 50;
const perMinute = 1_000_000;

const rest = "/authenticate";
const connect = "/shop.users.v1.UserService/Authenticate";

/** The public port trusts one proxy: the client address that it names counts. */
function from(address: string): Record<string, string> {
  return { "x-forwarded-for": address };
}

/** An address of documentation (RFC 3849) that no other test has. */
function newAddress(): string {
  const group = () => Math.floor(Math.random() * 0x10000).toString(16);
  return `2001:db8:${group()}:${group()}::1`;
}

async function signIn(path: string, username: string, secret: string, headers: Record<string, string>, url = shop.url) {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ username, password: secret }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

async function fail(username: string, address: string): Promise<void> {
  for (let n = 0; n < freeFailures; n += 10) {
    const some = Array.from({ length: 10 }, () => signIn(rest, username, `${password}?`, from(address)));
    for (const { status } of await Promise.all(some)) expect(status).toBe(401);
  }
}

describe("an account whose password is being guessed", () => {
  const guesser = newAddress();
  let username: string;
  beforeAll(async () => {
    ({ username } = await signUp());
    await fail(username, guesser);
  });

  test.for([rest, connect])("is slowed down for the attacker, with the waiting time, at %s", async (path) => {
    const refused = await signIn(path, username, password, from(guesser));
    expect(refused.status).toBe(429);
    expect(refused.text).toContain("SIGN_IN_SLOWED_DOWN");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(refused.headers.get("ratelimit-policy")).toBe(`"client";q=${perMinute};w=60`);
  });

  test.for(Object.keys(protocols))("is slowed down over %s", async (protocol) => {
    const client = protocols[protocol]!(shop.url);
    const request = { username, password };
    const outcome = await client.call({ method: UserService.method.authenticate, request, headers: from(guesser) });
    client.close();
    expect(outcome).toMatchObject({ error: { code: "ResourceExhausted", reason: "SIGN_IN_SLOWED_DOWN" } });
  });

  test("can be signed in to by its owner from a known address", async () => {
    expect((await signIn(rest, username, password, {})).status).toBe(200);
  });

  test("can be signed in to by its owner from another address after a wait", async () => {
    const home = newAddress();
    const first = await signIn(rest, username, password, from(home));
    expect(first.status).toBe(429);
    const seconds = Number(first.headers.get("retry-after"));
    expect(seconds).toBeLessThanOrEqual(60);
    await expect
      .poll(async () => (await signIn(rest, username, password, from(home))).status, { timeout: 20_000, interval: 200 })
      .toBe(200);
  });
});

describe("the limited client is", () => {
  async function left(headers: Record<string, string>, path = rest, url = shop.url): Promise<number> {
    const answer = await signIn(path, unique("nobody"), password, headers, url);
    expect(answer.headers.get("ratelimit-policy")).toBe(`"client";q=${perMinute};w=60`);
    return Number(/^"client";r=(\d+);t=\d+$/.exec(answer.headers.get("ratelimit") ?? "")?.[1]);
  }

  test("the one that the trusted proxy saw, independent of the client's own headers", async () => {
    const [one, another] = [newAddress(), newAddress()];
    expect(await left(from(one))).toBe(perMinute - 1);
    expect(await left(from(`10.9.8.7, ${one}`), connect)).toBe(perMinute - 2);
    expect(await left(from(another))).toBe(perMinute - 1);
    const claims = {
      "x-client-address": newAddress(),
      "x-forwarding-credential": credentialsOf(shop.dataDir, "gateway").issue("gateway", "users", "forward"),
      forwarded: `for=${newAddress()}`,
      "x-real-ip": newAddress(),
    };
    expect(await left({ ...from(one), ...claims })).toBe(perMinute - 3);
  });

  test("the peer of a service's own port, independent of its headers and account", async () => {
    const credential = serviceHeaders(shop.dataDir, "gateway", "users");
    const claims = [newAddress(), `${newAddress()} seal`, newAddress()];
    const lefts: number[] = [];
    for (const claim of claims) {
      const headers = { "x-client-address": claim, "x-forwarded-for": claim, ...credential };
      lefts.push(await left(headers, rest, shop.usersUrl));
    }
    // A minute may end meanwhile, but not twice.
    expect(Math.min(...lefts)).toBeLessThan(perMinute - 1);
  });

  test("the same for registrations", async () => {
    const client = newAddress();
    expect(await left(from(client))).toBe(perMinute - 1);
    const response = await fetch(`${shop.url}/register`, {
      method: "POST",
      headers: { "content-type": "application/json", ...from(client) },
      body: JSON.stringify({ username: unique("counted"), password }),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("ratelimit")).toMatch(new RegExp(`^"client";r=${perMinute - 2};t=\\d+$`));
  });
});
