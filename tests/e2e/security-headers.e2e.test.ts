import { once } from "node:events";
import { connect } from "node:http2";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { describe, expect, test } from "vitest";
import { shop, signUp } from "./shopping.ts";

const listProducts = "/shop.inventory.v1.InventoryService/ListProducts";
const getOrders = "/shop.orders.v1.OrderService/GetOrdersByUser";
const json = { "content-type": "application/json" };
const grpcWeb = { "content-type": "application/grpc-web+proto" };
const empty = new Uint8Array(encodeEnvelope(0, new Uint8Array()));

const everywhere = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};
const keptShortly = { ...everywhere, "cache-control": "public, max-age=1, stale-while-revalidate=5" };
const neverKept = { ...everywhere, "cache-control": "no-store" };

describe("every response of the public port has the headers that restrict browsers:", () => {
  test.for<readonly [string, string, RequestInit, number]>([
    ["a token", "/authenticate", { method: "POST", headers: json, body: JSON.stringify(shop.admin) }, 200],
    ["an error of REST", "/products/42", {}, 400],
    ["who must sign in, over REST", "/orders", {}, 401],
    ["no such route", "/nowhere", {}, 404],
    ["a malformed path", "/products/%zz", {}, 400],
    ["a body that is too large", "/orders", { method: "POST", headers: json, body: "x".repeat(1_100_000) }, 401],
    ["Connect", listProducts, { method: "POST", headers: json, body: "{}" }, 200],
    ["an error of Connect", listProducts, { method: "POST", headers: json, body: '{"pageSize":-1}' }, 400],
    ["who must sign in, over Connect", getOrders, { method: "POST", headers: json, body: "{}" }, 401],
    ["no such method", "/shop.orders.v1.OrderService/No", { method: "POST", headers: json, body: "{}" }, 404],
    ["gRPC-Web", listProducts, { method: "POST", headers: grpcWeb, body: empty }, 200],
    ["who must sign in, over gRPC-Web", getOrders, { method: "POST", headers: grpcWeb, body: empty }, 200],
    ["a preflight", "/orders", { method: "OPTIONS", headers: preflight() }, 204],
    ["the health check", "/healthz", {}, 200],
  ])("%s", async ([, path, request, status]) => {
    const response = await fetch(`${shop.url}${path}`, request);
    await response.arrayBuffer();
    expect(response.status).toBe(status);
    expect(Object.fromEntries(response.headers)).toMatchObject(neverKept);
  });

  test.for([
    ["REST", "/products?page_size=1"],
    ["Connect", `${listProducts}?encoding=json&message=%7B%7D`],
  ])("a public read by GET over %s, which may be cached for a second", async ([, path]) => {
    const response = await fetch(`${shop.url}${path}`);
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject(keptShortly);
  });

  test("gRPC", async () => {
    const session = connect(shop.url);
    const stream = session.request({
      ":method": "POST",
      ":path": listProducts,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(empty);
    const [headers] = await once(stream, "response");
    session.destroy();
    expect(headers).toMatchObject({ ":status": 200, ...neverKept });
  });

  test("a stream", async () => {
    const { products } = (await (await fetch(`${shop.url}/products?page_size=1`)).json()) as {
      products: { product_id: string }[];
    };
    const response = await fetch(`${shop.url}/products/${products[0]!.product_id}:watchStock`);
    await response.body!.cancel();
    expect(Object.fromEntries(response.headers)).toMatchObject(neverKept);
  });
});

test("HSTS is sent where a trusted proxy received the request over HTTPS, and only there", async () => {
  const ask = async (headers: Record<string, string>) =>
    (await fetch(`${shop.url}/products?page_size=1`, { headers })).headers.get("strict-transport-security");
  expect(await ask({ "x-forwarded-proto": "https" })).toBe("max-age=31536000");
  expect(await ask({ "x-forwarded-proto": "http" })).toBeNull();
  expect(await ask({})).toBeNull();
});

test("pages of a permitted origin can read the rate limit headers", async () => {
  const { headers } = await signUp();
  const response = await fetch(`${shop.url}/orders`, { headers: { ...headers, origin: "http://web.example" } });
  const exposed = response.headers.get("access-control-expose-headers")?.toLowerCase().split(/,\s*/);
  expect(exposed).toEqual(
    expect.arrayContaining(["retry-after", "ratelimit", "ratelimit-policy", "grpc-status", "grpc-message"]),
  );
});

function preflight(): Record<string, string> {
  return { origin: "http://web.example", "access-control-request-method": "POST" };
}
