import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { beforeAll, expect, test } from "vitest";
import { eventually } from "./eventually.ts";
import { refusalOf } from "./refusal.ts";
import {
  type Account,
  addProduct,
  anonymous,
  decided,
  password,
  placeOrder,
  signIn,
  signInAdmin,
  signUp,
  signUpMany,
  statusName,
  stockOf,
  unique,
} from "./shopping.ts";

const { CONFIRMED, REJECTED, CANCELLED, SHIPPED } = OrderStatus;
let admin: Account;

beforeAll(async () => {
  admin = await signInAdmin();
});

/** The number of orders in each final status. */
function tally(statuses: readonly OrderStatus[]): Record<string, number> {
  return Object.fromEntries(
    Map.groupBy(statuses, statusName)
      .entries()
      .map(([name, all]) => [name, all.length]),
  );
}

test("of 64 buyers who race for 10 units, 10 get one and 54 do not", async () => {
  const buyers = await signUpMany(64);
  const product = await addProduct(admin, { stock: 10 });
  const orders = await Promise.all(
    buyers.map(async (buyer) => ({ buyer, order: await placeOrder(buyer, [product, 1]) })),
  );
  const stocks: number[] = [];
  const statuses = await Promise.all(
    orders.map(async ({ buyer, order }) => {
      stocks.push(await stockOf(product));
      return (await decided(buyer, order)).status;
    }),
  );
  expect(tally(statuses)).toEqual({ CONFIRMED: 10, REJECTED: 54 });
  expect(await stockOf(product)).toBe(0);
  expect(Math.min(...stocks)).toBeGreaterThanOrEqual(0);
});

test("the quantities of two lines of one product are added before they are checked", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 3 });
  const tooMany = await placeOrder(buyer, [product, 2], [product, 2]);
  expect(tooMany.items).toMatchObject([{ quantity: 4 }]);
  expect((await decided(buyer, tooMany)).status).toBe(REJECTED);
  expect(await stockOf(product)).toBe(3);
  const exactlyAll = await placeOrder(buyer, [product, 1], [product, 2]);
  expect((await decided(buyer, exactlyAll)).status).toBe(CONFIRMED);
  expect(await stockOf(product)).toBe(0);
});

test("20 orders of two lines each race for 10 units: 5 get both lines, and no unit is left", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 10 });
  const orders = await Promise.all(Array.from({ length: 20 }, () => placeOrder(buyer, [product, 1], [product, 1])));
  const statuses = await Promise.all(orders.map(async (order) => (await decided(buyer, order)).status));
  expect(tally(statuses)).toEqual({ CONFIRMED: 5, REJECTED: 15 });
  expect(await stockOf(product)).toBe(0);
});

test("an order with one line out of stock reserves nothing of its other lines", async () => {
  const buyer = await signUp();
  const plenty = await addProduct(admin, { stock: 5 });
  const short = await addProduct(admin, { stock: 1 });
  for (const lines of [
    [[plenty, 5] as const, [short, 2] as const],
    [[short, 2] as const, [plenty, 5] as const],
  ]) {
    expect((await decided(buyer, await placeOrder(buyer, ...lines))).status).toBe(REJECTED);
    expect([await stockOf(plenty), await stockOf(short)]).toEqual([5, 1]);
  }
  expect((await decided(buyer, await placeOrder(buyer, [plenty, 5], [short, 1]))).status).toBe(CONFIRMED);
  expect([await stockOf(plenty), await stockOf(short)]).toEqual([0, 0]);
});

test("orders of the same products in opposite sequence all end, and never hold a part", async () => {
  const buyer = await signUp();
  const [left, right] = await Promise.all([addProduct(admin, { stock: 20 }), addProduct(admin, { stock: 12 })]);
  const orders = await Promise.all(
    Array.from({ length: 32 }, (_, index) =>
      index % 2 === 0 ? placeOrder(buyer, [left, 1], [right, 1]) : placeOrder(buyer, [right, 1], [left, 1]),
    ),
  );
  const statuses = await Promise.all(orders.map(async (order) => (await decided(buyer, order)).status));
  expect(tally(statuses)).toEqual({ CONFIRMED: 12, REJECTED: 20 });
  expect([await stockOf(left), await stockOf(right)]).toEqual([8, 0]);
});

test("concurrent buying, shipping and cancelling leaves exactly the unsold stock", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 30 });
  const orders = await Promise.all(Array.from({ length: 45 }, () => placeOrder(buyer, [product, 1])));
  const ended = await Promise.all(
    orders.map(async (order, index) => {
      const { status } = await decided(buyer, order);
      if (status !== CONFIRMED) return status;
      const to = index % 2 === 0 ? SHIPPED : CANCELLED;
      await admin.orders.updateOrderStatus({ orderId: order.orderId, status: to, reason: "as it goes" });
      return to;
    }),
  );
  // Stock of early cancellations may be sold again to later orders: only the balance is certain.
  const shipped = ended.filter((status) => status === SHIPPED).length;
  expect(shipped).toBeGreaterThan(0);
  await eventually(async () => expect(await stockOf(product)).toBe(30 - shipped));
});

test("50 concurrent registrations of one name, in any case, create one account", async () => {
  const name = unique("Twin");
  const spellings = Array.from({ length: 50 }, (_, index) =>
    [...name].map((letter, at) => ((index >> (at % 6)) & 1 ? letter.toUpperCase() : letter.toLowerCase())).join(""),
  );
  const outcomes = await Promise.all(
    spellings.map((username) => refusalOf(anonymous.users.register({ username, password }))),
  );
  expect(outcomes.filter(({ code }) => code === "answered")).toHaveLength(1);
  expect(outcomes.filter(({ reason }) => reason === "USERNAME_TAKEN")).toHaveLength(49);
  const [first, last] = await Promise.all([signIn(name.toUpperCase()), signIn(name.toLowerCase())]);
  expect(first.userId).toBe(last.userId);
});
