import type { Server } from "node:http";
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium, launchChromium } from "./chromium.ts";
import type { OfficialOutcome } from "./official-grpc-web-script.ts";
import { servePage } from "./served-page.ts";
import { type Account, addProduct, decided, placeOrder, shop, signInAdmin, signUp, unique } from "./shopping.ts";

const shopUrl = shop.url.replace("127.0.0.1", "localhost");
const pageUrl = `http://localhost:${shop.pagePort}`;
const { SHIPPED, DELIVERED, RETURNED } = OrderStatus;

const executable = findChromium();
const isCi = Boolean(process.env.CI);
if (executable === undefined && !isCi) {
  console.warn("official-grpc-web.e2e.test.ts is skipped: there is no Chromium on PATH, nor in CHROMIUM");
}

// With CI set a missing Chromium is a failure: beforeAll says so.
describe.skipIf(executable === undefined && !isCi)("the official gRPC-Web client in Chromium", () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  let admin: Account;
  let buyer: Account;

  beforeAll(async () => {
    if (executable === undefined) throw new Error("there is no Chromium: apt-get install chromium, or set CHROMIUM");
    [server, browser, admin, buyer] = await Promise.all([
      servePage(shop.pagePort, join(import.meta.dirname, "official-grpc-web-script.ts")),
      launchChromium(executable),
      signInAdmin(),
      signUp(),
    ]);
    page = await browser.newPage();
    await page.goto(pageUrl);
    await page.waitForFunction("globalThis.callOfficially !== undefined");
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  async function officially(
    mode: "text" | "binary",
    method: string,
    request: JsonObject,
    headers: Record<string, string>,
    count?: number,
  ): Promise<OfficialOutcome> {
    const outcome = await page.evaluate(
      ([format, url, name, message, metadata, most]) =>
        globalThis.callOfficially(format, url, name, message, metadata, most),
      [mode, shopUrl, method, JSON.stringify(request), headers, count] as const,
    );
    return JSON.parse(outcome) as OfficialOutcome;
  }

  describe.for(["text", "binary"] as const)("in %s mode", (mode) => {
    const call = (method: string, request: JsonObject, headers: Record<string, string> = {}) =>
      officially(mode, method, request, headers);

    test("makes a call, short and long", async () => {
      const product = await addProduct(admin, { description: "é☕".repeat(1_000), category: unique("Long") });
      for (const [method, request] of [
        ["GetProductByID", { productId: product.productId }],
        ["ListProducts", { category: product.category }],
      ] as const) {
        const { messages, error } = await call(`shop.inventory.v1.InventoryService/${method}`, request);
        expect(error).toBeUndefined();
        expect(JSON.stringify(messages)).toContain(product.description);
      }
    });

    test("gets errors of the method and of authorization, with their details", async () => {
      const missing = { productId: "product_01h455vb4pex5vsknk084sn02q" };
      expect(await call("shop.inventory.v1.InventoryService/GetProductByID", missing)).toEqual({
        messages: [],
        error: { code: 5, message: "there is no such product", hasDetails: true },
      });
      expect((await call("shop.orders.v1.OrderService/GetOrdersByUser", {})).error).toMatchObject({
        code: 16,
        hasDetails: true,
      });
    });

    // In binary mode the client delivers a stream only at its end: XMLHttpRequest has no bytes until then.
    test("reads a stream", async () => {
      const { orderId } = await decided(buyer, await placeOrder(buyer, [await addProduct(admin), 1]));
      const received = call("shop.orders.v1.OrderService/WatchOrder", { orderId, afterVersion: 1 }, buyer.headers);
      for (const status of [SHIPPED, DELIVERED, RETURNED]) await admin.orders.updateOrderStatus({ orderId, status });
      const { messages, error } = await received;
      expect(error).toBeUndefined();
      const versions = messages.map((message) => (message as { order?: { version: number } }).order?.version);
      expect(versions.filter((version) => version !== undefined)).toEqual([2, 3, 4, 5]);
    });
  });

  test("reads the messages of a stream as they arrive, in text mode", async () => {
    const { productId } = await addProduct(admin, { stock: 3 });
    const watch = "shop.inventory.v1.InventoryService/WatchStock";
    const received = await officially("text", watch, { productId }, {}, 1);
    expect(received).toMatchObject({ messages: [{ stock: { productId, available: 3 } }] });
  });
});
