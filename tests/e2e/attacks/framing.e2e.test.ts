import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { addProduct, nobody, password, shop, signInAdmin, signUp, unique } from "../shopping.ts";

/** Answered by the port itself, which then closes the connection. */
const last = "GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";

/** Sends requests over one connection; the statuses of what is answered until it is closed. */
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

/** How a caller may ask that the length of its body be forgotten; or that of a body that should not be there. */
const disguises: readonly (readonly string[])[] = [
  ["Connection: content-length"],
  ["Connection: keep-alive, Content-Length"],
  ["Connection: close", "Connection: CONTENT-LENGTH"],
  [],
];

// One of a kind for each connection that a gateway may keep to a service.
const rounds = 4;

describe("a request in the body of another one is never carried out:", () => {
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
    // Nobody has the name.
    await nobody.users.register({ username, password });
    expect(statuses).toEqual(statuses.map(() => [400]));
  });

  test("no product is deleted by an administrator's next call, and every caller gets the answer to its own", async () => {
    const admin = await signInAdmin();
    const { productId } = await addProduct(admin);
    // The head is open: what comes next over the same connection ends it, with its host and its credentials.
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

test("a service's own port refuses what the public one does", async () => {
  for (const url of [shop.url, shop.usersUrl, shop.inventoryUrl, shop.ordersUrl]) {
    if (shop.shape === "all-in-one" && url !== shop.url) continue;
    for (const disguise of disguises) {
      expect(await statusesOf(url, withBody("GET /products", disguise, "GET /products HTTP/1.1\r\n"))).toEqual([400]);
    }
  }
});
