import type { Server } from "node:http";
import { join } from "node:path";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { findChromium, launchChromium } from "./chromium.ts";
import { eventually } from "./eventually.ts";
import { readmeExamples } from "./readme-examples.ts";
import { bundle, servePage } from "./served-page.ts";
import {
  type Account,
  addProduct,
  decided,
  password,
  placeOrder,
  shop,
  signInAdmin,
  signUp as signUpBuyer,
  unique,
} from "./shopping.ts";

/** Another origin than the page's, but the same site, so a cookie with SameSite=Strict is sent. */
const shopUrl = shop.url.replace("127.0.0.1", "localhost");
const pageUrl = `http://localhost:${shop.pagePort}`;
const cookieName = "__Host-refresh_token";

const executable = findChromium();
const isCi = Boolean(process.env.CI);
if (executable === undefined && !isCi) {
  console.warn("page.e2e.test.ts is skipped: there is no Chromium on PATH, nor in CHROMIUM (apt-get install chromium)");
}

// With CI set a missing Chromium is a failure: beforeAll says so.
describe.skipIf(executable === undefined && !isCi)("in Chromium, a page of another origin", () => {
  let server: Server;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let admin: Account;

  beforeAll(async () => {
    if (executable === undefined) throw new Error("there is no Chromium: apt-get install chromium, or set CHROMIUM");
    [server, browser, admin] = await Promise.all([
      servePage(shop.pagePort, join(import.meta.dirname, "page-script.ts")),
      launchChromium(executable),
      signInAdmin(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(pageUrl);
    return () => context.close();
  });

  /** Loads the page's client without a session. */
  const open = (protocol: "Connect" | "gRPC-Web") =>
    page.evaluate(
      ([spoken, url]) => {
        globalThis.shop = globalThis.openShop(spoken, url);
      },
      [protocol, shopUrl] as const,
    );

  const signUp = async () => {
    const credentials = { username: unique("page"), password };
    return await page.evaluate(async (known) => {
      await globalThis.shop.users.register(known);
      return await globalThis.shop.session.signIn(known);
    }, credentials);
  };

  test.for(readmeExamples("client/README.md").filter(({ isPage }) => isPage))(
    "runs the example of $place",
    async ({ code, prints }) => {
      const contents = code.replaceAll("http://localhost:8080", shopUrl);
      let printed = "";
      page.on("console", (message) => (printed += `${message.text()}\n`));
      // It is a module, so the example can use top-level await.
      await page.addScriptTag({
        type: "module",
        content: await bundle({ stdin: { contents, loader: "ts", resolveDir: import.meta.dirname } }),
      });
      await eventually(() => expect(printed).toContain(prints));
    },
  );

  describe.for(["Connect", "gRPC-Web"] as const)("over %s", (protocol) => {
    test("signs in, lists products, orders, and watches the order to its end", async () => {
      const product = await addProduct(admin, { stock: 3 });
      await open(protocol);
      await signUp();
      const listed = await page.evaluate(async (category) => {
        const { products } = await globalThis.shop.inventory.listProducts({ category });
        return products.map(({ productId, stock }) => ({ productId, stock }));
      }, product.category);
      expect(listed).toEqual([{ productId: product.productId, stock: 3 }]);

      const orderId = await page.evaluate(async (productId) => {
        const { order } = await globalThis.shop.orders.createOrder({ items: [{ productId, quantity: 2 }] });
        return order!.orderId;
      }, product.productId);
      const received = page.evaluate(async (id) => {
        const moves: [number, number][] = [];
        for await (const { order } of globalThis.shop.watchOrder(id, { after: 1 })) {
          moves.push([order.version, order.status]);
        }
        return moves;
      }, orderId);
      await decided(admin, { orderId });
      const { CONFIRMED, SHIPPED, DELIVERED, RETURNED } = OrderStatus;
      for (const status of [SHIPPED, DELIVERED, RETURNED]) await admin.orders.updateOrderStatus({ orderId, status });
      expect(await received).toEqual([
        [2, CONFIRMED],
        [3, SHIPPED],
        [4, DELIVERED],
        [5, RETURNED],
      ]);
    });

    test("stays signed in over a reload, by a cookie that its script can't read, until it signs out", async () => {
      await open(protocol);
      const signedIn = await signUp();
      const [cookie] = await context.cookies(shopUrl);
      expect(cookie).toMatchObject({ name: cookieName, httpOnly: true, secure: true, sameSite: "Strict" });

      for (const _ of ["once", "twice"]) {
        await page.reload();
        await open(protocol);
        expect(await page.evaluate(() => globalThis.shop.session.resume())).toEqual(signedIn);
        expect(await page.evaluate(async () => (await globalThis.shop.orders.getOrdersByUser({})).orders)).toEqual([]);
      }
      const kept = await page.evaluate("[document.cookie, { ...localStorage }, { ...sessionStorage }]");
      expect(kept).toEqual(["", {}, {}]);

      await page.evaluate(() => globalThis.shop.session.signOut());
      expect(await context.cookies(shopUrl)).toEqual([]);
      await page.reload();
      await open(protocol);
      expect(await page.evaluate(async () => (await globalThis.shop.session.resume()) ?? "nobody")).toBe("nobody");
    });
  });

  test("follows an order by EventSource with a ticket, resumes after a disconnect, and stops at the end", async () => {
    const buyer = await signUpBuyer();
    const { orderId } = await decided(buyer, await placeOrder(buyer, [await addProduct(admin), 1]));
    const path = `/orders/${orderId}:watch`;
    const { ticket } = await buyer.users.createStreamTicket({ path });
    const received = page.evaluate(async (url) => {
      const source = new EventSource(url);
      const ids: string[] = [];
      let connections = 0;
      source.onopen = () => connections++;
      source.onmessage = ({ lastEventId }) => void (ids.at(-1) === lastEventId || ids.push(lastEventId));
      // Only a response that is not a stream closes it for good: otherwise it reconnects and resumes.
      await new Promise<void>((resolve) => {
        source.onerror = () => source.readyState === EventSource.CLOSED && resolve();
      });
      return { ids, connections };
    }, `${shopUrl}${path}?access_ticket=${ticket}`);
    const { SHIPPED, DELIVERED, RETURNED } = OrderStatus;
    for (const status of [SHIPPED, DELIVERED, RETURNED]) await admin.orders.updateOrderStatus({ orderId, status });
    const { ids, connections } = await received;
    expect(ids.at(-1)).toBe("5");
    expect(ids).toEqual(ids.toSorted());
    expect(connections).toBe(1);
  });

  test("of an origin that is not permitted gets no answer", async () => {
    await page.goto(pageUrl.replace("localhost", "127.0.0.1"));
    await open("Connect");
    const error = await page.evaluate(() => globalThis.shop.inventory.listProducts({}).then(() => "", String));
    expect(error).toBe("ConnectError: [unknown] Failed to fetch");
  });
});
