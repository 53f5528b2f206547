import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { addProduct, anonymous, password, shop, signInAdmin, signUp, unique } from "../shopping.ts";

/** The status of the port's own refusal, after which it closes the connection. */
const last = "GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";

/** Sends requests over one connection; returns the statuses of the responses until it is closed. */
async function statusesOf(url: string, requests: string): Promise<number[]> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) }).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  socket.write(requests + last, "latin1");
  const answers = await text(socket);
  return [...answers.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status));
}

function withBody(line: string, headers: readonly string[], body: string): string {
  const lines = [`${line} HTTP/1.1`, "Host: shop", ...headers, `Content-Length: ${body.length}`];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** Headers by which a caller could have the length of a body dropped. */
const disguises: readonly (readonly string[])[] = [
  ["Connection: content-length"],
  ["Connection: keep-alive, Content-Length"],
  ["Connection: close", "Connection: CONTENT-LENGTH"],
  [],
];

// One per connection that a gateway may keep to a service.
const rounds = 4;

describe("a request in the body of another one is never executed:", () => {
  test("no account is registered through a customer's own call", async () => {
    const { headers } = await signUp();
    const username = unique("smuggled");
    const json = JSON.stringify({ username, password });
    const register = withBody("POST /register", ["Content-Type: application/json"], json);
    const statuses: number[][] = [];
    for (const disguise of disguises) {
      for (let round = 0; round < rounds; round++) {
        const own = [...disguise, `Authorization: ${headers.authorization}`];
        statuses.push(await statusesOf(shop.url, withBody("GET /sessions", own, register)));
      }
    }
    // The name is not registered.
    await anonymous.users.register({ username, password });
    expect(statuses).toEqual(statuses.map(() => [400]));
  });

  test("no product is deleted by an administrator's next call, and every caller gets the answer to its own", async () => {
    const admin = await signInAdmin();
    const { productId } = await addProduct(admin);
    // The head is unfinished: the next request on the same connection would complete it, with its host and credentials.
    const half = `DELETE /products/${productId} HTTP/1.1\r\nX-Rest: `;
    const statuses: number[][] = [];
    for (const disguise of disguises) {
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        statuses.push(await statusesOf(shop.url, withBody(`${method} /products?page_size=1`, disguise, half)));
        const answers = await Promise.all(
          Array.from({ length: rounds }, async () => {
            const answer = await fetch(`${shop.url}/products/${productId}`, { headers: admin.headers });
            return [answer.status, await answer.json()];
          }),
        );
        for (const answer of answers) expect(answer).toMatchObject([200, { product_id: productId }]);
      }
    }
    expect(statuses).toEqual(statuses.map(() => [400]));
  });
});

test("a service's own port refuses the same requests", async () => {
  for (const url of [shop.url, shop.usersUrl, shop.inventoryUrl, shop.ordersUrl]) {
    if (shop.topology === "all-in-one" && url !== shop.url) continue;
    for (const disguise of disguises) {
      expect(await statusesOf(url, withBody("GET /products", disguise, "GET /products HTTP/1.1\r\n"))).toEqual([400]);
    }
  }
});
