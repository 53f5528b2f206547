import { randomBytes } from "node:crypto";
import * as conventions from "@opentelemetry/semantic-conventions/incubating";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { type StoredSpan, serveTraces, type TraceServer } from "@shop/tools/traces";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runningProcesses } from "../setup/shop.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { protocols } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { type Account, addProduct, decided, placeOrder, shop, signInAdmin, signUp } from "./shopping.ts";
import { withholdNats } from "./withhold-nats.ts";

const backTimeoutMs = 60_000;
const isSplit = shop.topology === "split";
/** The name of a service's process in traces. */
const processOf = (service: string) => (isSplit ? service : "all-in-one");

let traces: TraceServer;
let buyer: Account;
let admin: Account;

beforeAll(async () => {
  traces = await serveTraces(shop.tracesPort);
  [buyer, admin] = [await signUp(), await signInAdmin()];
});
afterAll(() => traces.close());

/** A caller's trace, sampled or not, as headers. */
function callersTrace(isSampled: boolean) {
  const [traceId, spanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
  const traceparent = `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
  return { traceId, spanId, headers: { traceparent, tracestate: "vendor=1" } };
}

/** The trace that the public port began for a caller's call, once it has a span that `hasAll` of it waits for. */
async function traceFor(caller: { readonly traceId: string }, hasAll: (spans: readonly StoredSpan[]) => boolean) {
  return await eventually(
    async () => {
      const all = traces.store.all();
      const root = all.find(({ links }) => links.some(({ traceId }) => traceId === caller.traceId));
      const spans = all.filter(({ traceId }) => traceId === root?.traceId);
      if (root === undefined || !hasAll(spans)) throw new Error(`not yet: ${JSON.stringify(spans.map(placeOf))}`);
      return { root, spans };
    },
    { timeoutMs: backTimeoutMs },
  );
}

const placeOf = ({ service, kind, name }: StoredSpan) => `${service}: ${kind} ${name}`;

/** The path of each span from the first one. */
function pathsOf(spans: readonly StoredSpan[]): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const pathOf = (span: StoredSpan): string => {
    const parent = byId.get(span.parentSpanId ?? "");
    return parent === undefined ? placeOf(span) : `${pathOf(parent)} > ${placeOf(span)}`;
  };
  return spans.map(pathOf);
}

const isNamed = (kind: StoredSpan["kind"], name: string) => (span: StoredSpan) =>
  span.kind === kind && span.name === name;

async function createOrder(productId: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const response = await fetch(`${shop.url}/orders`, {
    method: "POST",
    headers: { ...buyer.headers, ...headers, "content-type": "application/json" },
    body: JSON.stringify({ items: [{ product_id: productId, quantity: 1 }] }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { order_id: string }).order_id;
}

test("one order is one tree through all processes: calls, forwarding, database, events and back", async () => {
  const { productId } = await addProduct(admin);
  const caller = callersTrace(true);
  await createOrder(productId, caller.headers);
  const { spans } = await traceFor(caller, (all) =>
    all.some(isNamed("producer", "send shop.orders.v1.OrderConfirmed")),
  );

  const method = "shop.orders.v1.OrderService/CreateOrder";
  const prices = "shop.inventory.v1.InventoryService/BatchGetProducts";
  const [orders, inventory] = [processOf("orders"), processOf("inventory")];
  const received = isSplit
    ? `gateway: server ${method} > gateway: client ${method} > orders: server ${method}`
    : `all-in-one: server ${method}`;
  const asked = `${received} > ${orders}: client ${prices}${isSplit ? ` > inventory: server ${prices}` : ""}`;
  const placed = `${received} > ${orders}: producer send shop.orders.v1.OrderPlaced`;
  const reserving = `${placed} > ${inventory}: consumer process shop.orders.v1.OrderPlaced`;
  const reserved = `${reserving} > ${inventory}: producer send shop.inventory.v1.StockReserved`;
  const confirming = `${reserved} > ${orders}: consumer process shop.inventory.v1.StockReserved`;
  expect(pathsOf(spans)).toEqual(
    expect.arrayContaining([
      received,
      asked,
      `${asked} > ${inventory}: client find products`,
      `${received} > ${orders}: client insert orders`,
      placed,
      reserving,
      `${reserving} > ${inventory}: client insert ledger`,
      reserved,
      confirming,
      `${confirming} > ${orders}: client update orders`,
      `${confirming} > ${orders}: producer send shop.orders.v1.OrderConfirmed`,
    ]),
  );
  // Of the tree nothing is missing: each span but the first has its parent.
  expect(pathsOf(spans).filter((path) => !path.startsWith(isSplit ? "gateway: server" : "all-in-one: server"))).toEqual(
    [],
  );
  for (const span of spans.filter(({ kind }) => kind === "consumer"))
    expect(span.links.map(({ spanId }) => spanId)).toEqual([span.parentSpanId]);
});

test("every attribute is one of OpenTelemetry's conventions, and none has data of the shop", async () => {
  const { productId, name } = await addProduct(admin);
  const caller = callersTrace(true);
  await createOrder(productId, caller.headers);
  const { spans } = await traceFor(caller, (all) =>
    all.some(isNamed("producer", "send shop.orders.v1.OrderConfirmed")),
  );
  const known = new Set<unknown>(Object.values(conventions));
  const used = new Set(spans.flatMap(({ attributes }) => Object.keys(attributes)));
  expect([...used].filter((attribute) => !known.has(attribute))).toEqual([]);
  const text = JSON.stringify(spans);
  for (const secret of [name, buyer.userId, buyer.username, buyer.headers.authorization, productId])
    expect(text).not.toContain(secret);
});

test.for(Object.entries(protocols))(
  "the sampled flag and tracestate are respected over %s",
  async ([name, clientOf]) => {
    const { productId } = await addProduct(admin);
    const { orderId } = await placeOrder(buyer, [{ productId } as never, 1]);
    const get = async (url: string, caller: { readonly headers: Readonly<Record<string, string>> }) =>
      await clientOf(url).call({
        method: OrderService.method.getOrderByID,
        request: { orderId },
        headers: { ...buyer.headers, ...caller.headers },
      });
    const method = "shop.orders.v1.OrderService/GetOrderByID";
    const isAnswered = isNamed("server", method);

    // At the public port: a new trace that is linked to the caller's.
    const [unsampled, sampled] = [callersTrace(false), callersTrace(true)];
    await get(shop.url, unsampled);
    await get(shop.url, sampled);
    const { root, spans } = await traceFor(sampled, (all) => all.filter(isAnswered).length === (isSplit ? 2 : 1));
    expect(root).toMatchObject({ kind: "server", name: method, parentSpanId: undefined });
    expect(root.links).toEqual([{ traceId: sampled.traceId, spanId: sampled.spanId, traceState: "vendor=1" }]);
    expect(root.attributes["rpc.system.name"]).toBe(systemOf(name));
    expect(spans.filter(isAnswered).map(({ attributes }) => attributes["rpc.status_code"])).toEqual(
      spans.filter(isAnswered).map(() => "ok"),
    );

    // At a service's own port: the caller's own trace.
    const [quiet, own] = [callersTrace(false), callersTrace(true)];
    await get(shop.ordersUrl, quiet);
    await get(shop.ordersUrl, own);
    const span = await eventually(async () => {
      const found = traces.store.find(own.traceId)?.spans.find(isAnswered);
      if (found === undefined) throw new Error("not yet");
      return found;
    });
    expect(span).toMatchObject({ parentSpanId: own.spanId, traceState: "vendor=1" });

    // Spans of the calls that were not sampled would have been sent before these.
    for (const { traceId } of [unsampled, quiet]) {
      expect(traces.store.find(traceId)).toBeUndefined();
      expect(traces.store.all().filter(({ links }) => links.some((link) => link.traceId === traceId))).toEqual([]);
    }
  },
);

function systemOf(protocol: string): string {
  if (/rest/i.test(protocol)) return "rest";
  return /grpc/i.test(protocol) ? "grpc" : "connectrpc";
}

const executable = findChromium();
test.skipIf(executable === undefined && !process.env.CI)(
  "the page lists traces, shows one over time, and follows its links",
  async () => {
    const caller = callersTrace(true);
    await createOrder((await addProduct(admin)).productId, caller.headers);
    const { root, spans } = await traceFor(caller, (all) =>
      all.some(isNamed("producer", "send shop.orders.v1.OrderConfirmed")),
    );
    const browser = await launchChromium(executable!);
    try {
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      await page.goto(traces.url);
      await page.getByLabel("Find").fill("createorder");
      const link = page.locator(`a[href="#${root.traceId}"]`);
      await link.waitFor();
      // A refresh of the list that is answered only once the trace is shown.
      const traceIsShown = Promise.withResolvers<void>();
      await page.route(`${traces.url}/traces`, async (route) => {
        await traceIsShown.promise;
        await route.continue();
      });
      const refresh = await page.waitForRequest(`${traces.url}/traces`);
      await link.click();
      const rows = page.locator("tbody tr");
      await page.locator(`[id="${root.spanId}"]`).waitFor();
      traceIsShown.resolve();
      await (await refresh.response())!.finished();
      // Answered later than the refresh, so that the page has handled that.
      await page.evaluate("fetch('/traces').then((answer) => answer.json())");
      expect(await rows.count()).toBe(spans.length);
      expect((await rows.first().locator(".bar").boundingBox())!.width).toBeGreaterThan(10);

      const consumer = spans.find(({ kind }) => kind === "consumer")!;
      await page.goto(`${traces.url}/#${consumer.traceId}/${consumer.spanId}`);
      const row = page.locator(`[id="${consumer.spanId}"]`);
      await row.locator("dl").waitFor();
      expect(await row.locator("dl").textContent()).toContain("messaging.system.name");
      await row.locator(`a[href="#${consumer.traceId}/${consumer.parentSpanId}"]`).click();
      await page.locator(`[id="${consumer.parentSpanId}"].chosen`).waitFor();
      expect(problems).toEqual([]);
    } finally {
      await browser.close();
    }
  },
);

test("an order's trace continues after a crash: its event carries it from the outbox", {
  timeout: 180_000,
}, async () => {
  const { productId } = await addProduct(admin);
  const name = processOf("orders");
  const giveBack = await withholdNats();
  const caller = callersTrace(true);
  const orderId = await createOrder(productId, caller.headers);
  await traceFor(caller, (all) => all.some(({ name }) => name === "insert orders"));
  const before = runningProcesses(shop.dataDir).find((one) => one.name === name)!.pid;
  process.kill(before, "SIGKILL");
  await giveBack();
  await decided(buyer, { orderId }, backTimeoutMs);

  // Each process sends its spans by itself, so that of the publication may arrive after that of the handling.
  const publicationIn = (all: readonly StoredSpan[]) => {
    const handled = all.find(isNamed("consumer", "process shop.orders.v1.OrderPlaced"));
    return all.find(({ spanId }) => spanId === handled?.parentSpanId);
  };
  const { spans } = await traceFor(caller, (all) => publicationIn(all) !== undefined);
  const sent = publicationIn(spans)!;
  const placing = spans.find(isNamed("client", "insert orders"))!;
  expect(placing.instance).toContain(`/${before}`);
  expect(sent.name).toBe("send shop.orders.v1.OrderPlaced");
  expect(sent.instance).not.toBe(placing.instance);
  // Both belong to the call.
  expect(sent.parentSpanId).toBe(placing.parentSpanId);
});
