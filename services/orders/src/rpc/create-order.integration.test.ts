import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { type CreateOrderRequest, CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { contextOf, silentLog } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import { createAdmission } from "../application/admission.ts";
import { createOpenQuantities } from "../application/open-quantities.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { createOrder } from "./create-order.ts";

const price = { currencyCode: "EUR", minorUnits: 250n };

async function openPlacement() {
  const { orders, documents, clock, stockDecisions, place: placeAt } = await openTestOrders();
  const [productId, userId] = [newId("product"), newId("user")];
  let isSold = true;
  const catalogue = { offers: async () => new Map(isSold ? [[productId, { name: "Thing", price }]] : []) };
  const admission = createAdmission({ orders, clock, maxBacklog: 3, log: silentLog });
  const openQuantities = createOpenQuantities({ orders, limits: { perAccount: 0, perProduct: 0 } });
  const place = createOrder({ orders, catalogue, admission, openQuantities, clock });
  const caller = (id: string) => contextOf({ kind: "user", userId: id, roles: ["customer"] });
  const request = (quantity: number, more: { requestId?: string } = {}) =>
    create(CreateOrderRequestSchema, { items: [{ productId, quantity }], ...more });
  return {
    documents,
    orders,
    stockDecisions,
    request,
    userId,
    admission,
    placeAt,
    stopSelling() {
      isSold = false;
    },
    place: async (asked: CreateOrderRequest, as = userId) => (await place(asked, caller(as))).order!,
  };
}

test("a repeated request gets the same response, even after the order's status changed and the product was deleted", async () => {
  const { documents, stockDecisions, request, place, stopSelling } = await openPlacement();
  const first = await place(request(2, { requestId: "one" }));
  await stockDecisions.confirm([{ orderId: first.orderId! }]);
  stopSelling();
  expect(await place(request(2, { requestId: "one" }))).toEqual(first);
  expect(await documents.countDocuments()).toBe(1);
});

test("concurrent requests with one idempotency key place one order and all get its response", async () => {
  const { documents, request, place } = await openPlacement();
  const answers = await Promise.all(Array.from({ length: 50 }, () => place(request(1, { requestId: "one" }))));
  expect(new Set(answers.map((order) => order.orderId)).size).toBe(1);
  expect(await documents.countDocuments()).toBe(1);
  expect((await documents.findOne())?.outbox.length).toBeLessThanOrEqual(1);
});

test("a key is compared with the request's content, however its lines are split, and keys that older releases stored are accepted", async () => {
  const { documents, request, place } = await openPlacement();
  const lines = (requestId: string, ...quantities: number[]) =>
    create(CreateOrderRequestSchema, { items: quantities.flatMap((each) => request(each).items), requestId });
  const first = await place(lines("one", 1, 1));
  for (const split of [[2], [1, 1]]) expect(await place(lines("one", ...split))).toEqual(first);
  await expect(place(lines("one", 1, 2))).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });

  // Older releases hashed the lines as sent, and kept the quotes of the header.
  const asSent = toBinary(CreateOrderRequestSchema, lines("", 1, 1));
  const stored = { id: '"one"', hash: createHash("sha256").update(asSent).digest("base64") };
  await documents.updateOne({ _id: first.orderId! }, { $set: { request: stored } });
  expect(await place(lines("one", 1, 1))).toEqual(first);
  expect(await documents.countDocuments()).toBe(1);
});

test("a request with other content under the same key is refused, and places nothing", async () => {
  const { documents, request, place } = await openPlacement();
  await place(request(1, { requestId: "one" }));
  await expect(place(request(2, { requestId: "one" }))).rejects.toMatchObject({
    kind: "invalid_argument",
    reason: "REQUEST_ID_REUSED",
  });
  expect(await documents.countDocuments()).toBe(1);
});

test("keys of different users are independent, and every request without a key places an order", async () => {
  const { documents, request, place } = await openPlacement();
  await place(request(1, { requestId: "one" }));
  await place(request(1, { requestId: "one" }), newId("user"));
  await place(request(1));
  await place(request(1));
  expect(await documents.countDocuments()).toBe(4);
});

test("a repeated request is UNAVAILABLE while a majority may still lose the first one, and succeeds later", async () => {
  const { orders, request, place } = await openPlacement();
  const [find, insert] = [vi.spyOn(orders, "findByRequest"), vi.spyOn(orders, "insert")];
  // The primary's index refuses the order, but a majority read does not find it yet.
  insert.mockResolvedValueOnce("request_made");
  find.mockResolvedValueOnce(undefined).mockResolvedValueOnce(undefined);
  await expect(place(request(1, { requestId: "one" }))).rejects.toMatchObject({
    kind: "unavailable",
    reason: "REQUEST_UNSETTLED",
    facts: { retryAfterMs: 500 },
  });
  expect((await place(request(1, { requestId: "one" }))).orderId).toMatch(/^order_/);
});

test("a refused request does not use up its key", async () => {
  const { documents, request, place } = await openPlacement();
  const expecting = (minorUnits: bigint) =>
    create(CreateOrderRequestSchema, {
      items: request(2).items,
      requestId: "one",
      expectedTotal: { currencyCode: "EUR", minorUnits },
    });
  await expect(place(expecting(1n))).rejects.toMatchObject({
    reason: "ORDER_TOTAL_MOVED",
    facts: { metadata: { minor_units: "500", currency_code: "EUR" } },
  });
  expect(await documents.countDocuments()).toBe(0);
  expect((await place(expecting(500n))).total).toMatchObject({ minorUnits: 500n });
});

test("while too many orders are overdue, new ones are refused with a retry time and repeated ones are answered", async () => {
  const { admission, stockDecisions, request, place, placeAt } = await openPlacement();
  const measure = () => admission.job.run(new AbortController().signal);
  const first = await place(request(1, { requestId: "one" }));
  const old = new Date(Date.now() - 5_000);
  const [stuck] = [await placeAt(old), await placeAt(old)];
  await place(request(1, { requestId: "one" }));
  await measure();
  await expect(admission.admit(async () => "admitted beside a few stuck orders")).resolves.toBeDefined();

  await placeAt(old);
  await measure();
  await expect(place(request(1))).rejects.toMatchObject({
    kind: "resource_exhausted",
    reason: "ORDERS_OVERLOADED",
    facts: { retryAfterMs: expect.any(Number) },
  });
  expect(await place(request(1, { requestId: "one" }))).toEqual(first);

  await stockDecisions.confirm([{ orderId: stuck!.orderId }]);
  await measure();
  await place(request(1));
});

test("an order that arrives at the limit queues until there is room, and is refused when no decision is reported", async () => {
  const { admission } = await openPlacement();
  for (let admitted = 0; admitted < 1_500; admitted++) await admission.admit(async () => undefined);
  await expect(admission.admit(async () => "placed")).rejects.toMatchObject({ reason: "ORDERS_OVERLOADED" });

  const waits = admission.admit(async () => "placed");
  await admission.job.run(new AbortController().signal);
  expect(await waits).toBe("placed");
});
