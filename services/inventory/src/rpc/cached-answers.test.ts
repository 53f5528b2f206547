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

/** A port whose answers are at hand, if they are, or made; and how often they were. */
async function openPort(isAtHand: boolean) {
  const made = vi.fn(async () => answer());
  const find = vi.fn((_request: GetProductByIDRequest) => (isAtHand ? answer() : undefined));
  const called = vi.fn();
  const metrics = { called, connections() {}, refusedConnection() {} } as never;
  const authorize = async () => ({ kind: "anonymous" }) as const;
  const rules = testRules(authorize, metrics);
  const { port } = await openTestPort({
    services: [InventoryService],
    hosted: () => (router) => router.service(InventoryService, { getProductByID: made }),
    findCachedAnswer: createFindCachedAnswer([cachedAnswers(method, find)], rules),
    authorize,
    routerOptions: createRouterOptions(rules),
  });
  return { url: `http://127.0.0.1:${port}`, made, find, called };
}

async function read(url: string, init: RequestInit = {}, at = path) {
  const { status, headers, ...rest } = await fetch(url + at, init).then(async (answer) => ({
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: await answer.text(),
  }));
  const { date: _, ...said } = headers;
  return { status, headers: said, ...rest };
}

describe("an answer at hand", () => {
  test("is over REST what it would be made, to the last header", async () => {
    const [there, made] = [await openPort(true), await openPort(false)];
    const [first] = [await read(there.url), await read(made.url)];
    for (const init of [
      {},
      { headers: { "if-none-match": first.headers.etag! } },
      { headers: { "if-none-match": '"other"' } },
      { method: "HEAD" },
      { headers: { "accept-encoding": "gzip" } },
    ])
      expect(await read(there.url, init)).toEqual(await read(made.url, init));
    expect(first).toMatchObject({ status: 200, headers: { "cache-control": expect.stringContaining("max-age=1") } });
    // The first request for a path, and HEAD, go the whole way.
    expect([there.made.mock.calls.length, made.made.mock.calls.length]).toEqual([2, 6]);
  });

  test.for([
    ["Connect in JSON", "application/json", JSON.stringify({ productId })],
    ["Connect in binary", "application/proto", toBinary(method.input, create(method.input, { productId }))],
  ] as const)("is what it would be made over %s, and nothing is made", async ([, type, body]) => {
    const [there, made] = [await openPort(true), await openPort(false)];
    const init = { method: "POST", headers: { "content-type": type }, body };
    for (let n = 0; n < 2; n++) expect(await read(there.url, init, rpc)).toEqual(await read(made.url, init, rpc));
    expect([there.made.mock.calls.length, made.made.mock.calls.length]).toEqual([0, 2]);
  });

  test("and over gRPC", async () => {
    const [there, made] = [await openPort(true), await openPort(false)];
    const get = (baseUrl: string) =>
      createClient(InventoryService, createGrpcTransport({ baseUrl })).getProductByID({ productId });
    expect(await get(there.url)).toEqual(await get(made.url));
    expect([there.made.mock.calls.length, made.made.mock.calls.length]).toEqual([0, 1]);
  });

  test("is not asked for by gRPC-Web, which is answered all the same", async () => {
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

  test("is not given to a request that is not valid, or that says more than its first line may", async () => {
    const { url, find, made } = await openPort(true);
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
    expect(made).toHaveBeenCalledTimes(1);
  });
});

test("only a read that anybody may make can have answers at hand", () => {
  const { createProduct, listStockMovements } = InventoryService.method;
  for (const one of [createProduct, listStockMovements])
    expect(() =>
      createFindCachedAnswer(
        [cachedAnswers(one as unknown as typeof method, answer)],
        testRules(async () => ({})),
      ),
    ).toThrow(`${one.name} is no read that anybody may make`);
});
