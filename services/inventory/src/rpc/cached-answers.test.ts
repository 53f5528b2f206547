import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import {
  type GetProductByIDRequest,
  GetProductByIDResponseSchema,
  InventoryService,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { deepFreeze } from "@shop/rest";
import { cachedAnswers, createFindCachedAnswer, createRouterOptions } from "@shop/rpc-server";
import { openTestPort, testRules } from "@shop/rpc-server/testing/port";
import { describe, expect, test, vi } from "vitest";

const productId = "product_01h455vb4pex5vsknk084sn02q";
const path = `/products/${productId}`;
const rpc = "/shop.inventory.v1.InventoryService/GetProductByID";
const method = InventoryService.method.getProductByID;
const answer = () =>
  deepFreeze(
    create(GetProductByIDResponseSchema, { product: { productId, name: "Lamp", description: "ä".repeat(2_000) } }),
  );

/** A port with a cache that always hits or always misses, and spies on its calls. */
async function openPort(isHit: boolean) {
  const invoke = vi.fn(async () => answer());
  const find = vi.fn((_request: GetProductByIDRequest) => (isHit ? answer() : undefined));
  const called = vi.fn();
  const metrics = { called, connections() {}, refusedConnection() {} } as never;
  const authorize = async () => ({ kind: "anonymous" }) as const;
  const rules = testRules(authorize, metrics);
  const { port } = await openTestPort({
    services: [InventoryService],
    hosted: () => (router) => router.service(InventoryService, { getProductByID: invoke }),
    findCachedAnswer: createFindCachedAnswer([cachedAnswers(method, find)], rules),
    authorize,
    routerOptions: createRouterOptions(rules),
  });
  return { url: `http://127.0.0.1:${port}`, invoke, find, called };
}

async function read(url: string, init: RequestInit = {}, at = path) {
  const { status, headers, ...rest } = await fetch(url + at, init).then(async (answer) => ({
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: await answer.text(),
  }));
  const { date: _, ...otherHeaders } = headers;
  return { status, headers: otherHeaders, ...rest };
}

describe("a cached answer", () => {
  test("equals the handler's over REST, in status, headers and body", async () => {
    const [hit, miss] = [await openPort(true), await openPort(false)];
    const [first] = [await read(hit.url), await read(miss.url)];
    for (const init of [
      {},
      { headers: { "if-none-match": first.headers.etag! } },
      { headers: { "if-none-match": '"other"' } },
      { method: "HEAD" },
      { headers: { "accept-encoding": "gzip" } },
    ])
      expect(await read(hit.url, init)).toEqual(await read(miss.url, init));
    expect(first).toMatchObject({ status: 200, headers: { "cache-control": expect.stringContaining("max-age=1") } });
    // The first request for a path, and HEAD, are not answered from the cache.
    expect([hit.invoke.mock.calls.length, miss.invoke.mock.calls.length]).toEqual([2, 6]);
  });

  test.for([
    ["Connect in JSON", "application/json", JSON.stringify({ productId })],
    ["Connect in binary", "application/proto", toBinary(method.input, create(method.input, { productId }))],
  ] as const)("equals the handler's over %s, without calling it", async ([, type, body]) => {
    const [hit, miss] = [await openPort(true), await openPort(false)];
    const init = { method: "POST", headers: { "content-type": type }, body };
    for (let n = 0; n < 2; n++) expect(await read(hit.url, init, rpc)).toEqual(await read(miss.url, init, rpc));
    expect([hit.invoke.mock.calls.length, miss.invoke.mock.calls.length]).toEqual([0, 2]);
  });

  test("equals the handler's over gRPC, without calling it", async () => {
    const [hit, miss] = [await openPort(true), await openPort(false)];
    const get = (baseUrl: string) =>
      createClient(InventoryService, createGrpcTransport({ baseUrl })).getProductByID({ productId });
    expect(await get(hit.url)).toEqual(await get(miss.url));
    expect([hit.invoke.mock.calls.length, miss.invoke.mock.calls.length]).toEqual([0, 1]);
  });

  test("is not used for gRPC-Web, which calls the handler", async () => {
    const { url, find } = await openPort(true);
    const client = createClient(InventoryService, createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }));
    expect(await client.getProductByID({ productId })).toEqual(answer());
    expect(find).not.toHaveBeenCalled();
  });

  test("is counted as a call", async () => {
    const { url, called } = await openPort(true);
    for (let n = 0; n < 3; n++) await read(url);
    expect(called.mock.calls.map(([name, code]) => [name, code])).toEqual(
      Array.from({ length: 3 }, () => [rpc.slice(1), "ok"]),
    );
  });

  test("is not given to an invalid request, or to one with a deadline header or a body", async () => {
    const { url, find, invoke } = await openPort(true);
    for (let n = 0; n < 2; n++) {
      expect((await fetch(`${url}/products/lamp`)).status).toBe(400);
      expect((await fetch(`${url}${path}?color=red`)).status).toBe(400);
      const json = { "content-type": "application/json" };
      expect((await fetch(url + rpc, { method: "POST", headers: json, body: '{"productId":"lamp"}' })).status).toBe(
        400,
      );
    }
    expect(find).not.toHaveBeenCalled();
    for (let n = 0; n < 2; n++) expect((await read(url)).status).toBe(200);
    expect((await read(url, { headers: { "connect-timeout-ms": "soon" } })).status).toBe(400);
    const withBody = request(url + path, { method: "GET", headers: { "content-length": 2 } }).end("{}");
    expect(((await once(withBody, "response")) as [IncomingMessage])[0].resume().statusCode).toBe(400);
    expect(invoke).toHaveBeenCalledTimes(1);
  });
});

test("only a PUBLIC method without side effects can have cached answers", () => {
  const { createProduct, listStockMovements } = InventoryService.method;
  for (const one of [createProduct, listStockMovements])
    expect(() =>
      createFindCachedAnswer(
        [cachedAnswers(one as unknown as typeof method, answer)],
        testRules(async () => ({})),
      ),
    ).toThrow(`${one.name} is not a PUBLIC read`);
});
