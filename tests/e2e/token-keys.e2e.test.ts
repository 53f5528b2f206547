import { expect, test } from "vitest";
import { shop, signUp } from "./shopping.ts";

const kidOf = (authorization: string) =>
  JSON.parse(Buffer.from(authorization.split(" ")[1]!.split(".")[0]!, "base64url").toString()).kid as string;

test("while the signing key of access tokens rotates, no call is refused and the previous key's tokens stay valid", {
  timeout: 90_000,
}, async () => {
  const first = await signUp();
  const kids = new Set([kidOf(first.headers.authorization)]);
  const statuses = new Set<number>();
  // New and old tokens are used throughout, on the services' own ports and the public one.
  while (kids.size < 2) {
    const newcomer = await signUp();
    kids.add(kidOf(newcomer.headers.authorization));
    for (const { headers, userId } of [first, newcomer]) {
      const urls = [
        `${shop.url}/orders`,
        `${shop.ordersUrl}/orders`,
        `${shop.usersUrl}/profile/${userId}`,
        `${shop.url}/profile/${userId}`,
      ];
      for (const { status } of await Promise.all(urls.map((url) => fetch(url, { headers })))) statuses.add(status);
    }
  }
  expect([...statuses]).toEqual([200]);
  const { keys } = (await (await fetch(`${shop.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
  expect(keys.map(({ kid }) => kid)).toEqual(expect.arrayContaining([...kids]));
});

test("the public keys may be cached for less time than the next key is published before it signs", async () => {
  const { headers } = await fetch(`${shop.url}/.well-known/jwks.json`);
  expect(headers.get("cache-control")).toBe("public, max-age=3");
  expect(headers.get("content-type")).toContain("application/json");
});
