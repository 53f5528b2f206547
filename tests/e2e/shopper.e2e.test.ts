import { type Order, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import { beforeAll, describe, expect, test } from "vitest";
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
  statusName,
  stockOf,
  unique,
} from "./shopping.ts";

const { PENDING, CONFIRMED, REJECTED, SHIPPED, DELIVERED, CANCELLED } = OrderStatus;
let admin: Account;

beforeAll(async () => {
  admin = await signInAdmin();
});

async function move(order: Pick<Order, "orderId">, status: OrderStatus): Promise<Order> {
  return (await admin.orders.updateOrderStatus({ orderId: order.orderId, status, reason: "as it goes" })).order!;
}

test("a shopper registers, signs in, browses, places an order, and reads its history up to delivery", async () => {
  // The catalogue.
  const category = unique("Teaware");
  const price = { currencyCode: "EUR", minorUnits: 1999n };
  const made = [];
  for (const name of ["Blue Teapot", "Green Cup", "Blue Cup", "Kettle", "Sugar Bowl"]) {
    made.push(await addProduct(admin, { name, category, price, stock: 10 }));
  }
  const [teapot, , blueCup] = made;

  // Registers and signs in.
  const username = unique("Ada");
  const { userId } = await anonymous.users.register({ username, password });
  const ada = await signIn(username.toLowerCase());
  expect(ada.userId).toBe(userId);

  // Browses: pages of two, newest first, then by name.
  const seen: string[] = [];
  let pages = 0;
  let pageToken = "";
  do {
    const page = await ada.inventory.listProducts({ category, pageSize: 2, pageToken });
    seen.push(...page.products.map(({ name }) => name));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== "");
  expect(seen).toEqual(["Sugar Bowl", "Kettle", "Blue Cup", "Green Cup", "Blue Teapot"]);
  expect(pages).toBe(3);
  const blue = await ada.inventory.listProducts({ category, name: "bLuE" });
  expect(blue.products.map(({ name }) => name)).toEqual(["Blue Cup", "Blue Teapot"]);

  // Orders, at the catalogue's prices.
  const placed = await placeOrder(ada, [teapot!, 1], [blueCup!, 4]);
  expect(placed).toMatchObject({
    userId,
    status: PENDING,
    items: [
      { productId: teapot!.productId, name: "Blue Teapot", quantity: 1, unitPrice: price },
      { productId: blueCup!.productId, name: "Blue Cup", quantity: 4, unitPrice: price },
    ],
    total: { currencyCode: "EUR", minorUnits: 5n * 1999n },
  });

  // The order is confirmed by an event, and the stock has decreased.
  expect(await decided(ada, placed)).toMatchObject({ status: CONFIRMED, statusReason: "" });
  expect([await stockOf(teapot!), await stockOf(blueCup!)]).toEqual([9, 6]);

  // An administrator ships and delivers it.
  expect((await move(placed, SHIPPED)).status).toBe(SHIPPED);
  expect((await move(placed, DELIVERED)).status).toBe(DELIVERED);

  // The history: newest first, with the lines as bought.
  await admin.inventory.updateProduct({
    product: { productId: teapot!.productId, name: "Red Teapot", price: { currencyCode: "EUR", minorUnits: 1n } },
    updateMask: { paths: ["name", "price"] },
  });
  const second = await placeOrder(ada, [made[3]!, 1]);
  const { orders } = await ada.orders.getOrdersByUser({});
  expect(orders.map(({ orderId }) => orderId)).toEqual([second.orderId, placed.orderId]);
  expect(orders[1]).toMatchObject({ status: DELIVERED, items: placed.items, total: placed.total });
  expect(await stockOf(teapot!), "delivered stock is not released").toBe(9);
});

test("a second order is confirmed too, and the history is read a page at a time", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 10 });
  const placed = [];
  for (let count = 0; count < 5; count++) placed.push((await placeOrder(buyer, [product, 1])).orderId);
  const read: string[] = [];
  let pageToken = "";
  do {
    const page = await buyer.orders.getOrdersByUser({ pageSize: 2, pageToken });
    expect(page.orders.length).toBeLessThanOrEqual(2);
    read.push(...page.orders.map(({ orderId }) => orderId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(read).toEqual(placed.toReversed());
});

describe("a cancelled order", () => {
  test("releases its stock", async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 10 });
    const order = await placeOrder(buyer, [product, 7]);
    await decided(buyer, order);
    expect(await stockOf(product)).toBe(3);

    const cancelled = await move(order, CANCELLED);
    expect(cancelled).toMatchObject({ status: CANCELLED, statusReason: expect.stringMatching(/\w+/) });
    await eventually(async () => expect(await stockOf(product)).toBe(10));

    const again = await placeOrder(buyer, [product, 10]);
    expect((await decided(buyer, again)).status).toBe(CONFIRMED);
    expect((await buyer.orders.getOrderByID({ orderId: order.orderId })).order!.status).toBe(CANCELLED);
  });

  test("that was still pending ends CANCELLED and holds no stock", async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 10 });
    const orders = await Promise.all(Array.from({ length: 10 }, () => placeOrder(buyer, [product, 1])));
    // Some are still pending, some already confirmed: both may be cancelled.
    await Promise.all(orders.map((order) => move(order, CANCELLED)));
    await eventually(async () => expect(await stockOf(product)).toBe(10));
    for (const { orderId } of orders) {
      expect((await buyer.orders.getOrderByID({ orderId })).order!.status).toBe(CANCELLED);
    }
  });
});

test("an order above the stock is rejected, with a reason that its owner can read", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 3 });
  const order = await decided(buyer, await placeOrder(buyer, [product, 4]));
  expect(order.status).toBe(REJECTED);
  expect(order.statusReason).toMatch(/\b3\b/);
  expect(order.statusReason).toMatch(/\b4\b/);
  expect(order.statusReason, "names the product in the reason").toContain(product.name);
  expect(await stockOf(product)).toBe(3);
});

test("a transition whose answer was lost can be requested again and is made once", async () => {
  const [buyer, product] = [await signUp(), await addProduct(admin, { stock: 1 })];
  const order = await placeOrder(buyer, [product, 1]);
  await decided(buyer, order);
  const shipped = await move(order, SHIPPED);
  expect(await move(order, SHIPPED)).toEqual(shipped);
  expect((await buyer.orders.listOrderEvents({ orderId: order.orderId })).events).toHaveLength(3);
});

test("a transition that the table does not allow is FAILED_PRECONDITION and changes nothing", async () => {
  const buyer = await signUp();
  const plenty = await addProduct(admin, { stock: 100 });
  const confirmed = async () => {
    const order = await placeOrder(buyer, [plenty, 1]);
    await decided(buyer, order);
    return order;
  };
  const rejected = await placeOrder(buyer, [await addProduct(admin, { stock: 0 }), 1]);
  await decided(buyer, rejected);
  const shipped = await confirmed();
  await move(shipped, SHIPPED);
  const delivered = await confirmed();
  await move(delivered, SHIPPED);
  await move(delivered, DELIVERED);
  const cancelled = await confirmed();
  await move(cancelled, CANCELLED);

  const refused: readonly (readonly [Order, OrderStatus, readonly OrderStatus[]])[] = [
    [await confirmed(), CONFIRMED, [PENDING, CONFIRMED, REJECTED, DELIVERED]],
    [rejected, REJECTED, [PENDING, CONFIRMED, REJECTED, SHIPPED, DELIVERED, CANCELLED]],
    [shipped, SHIPPED, [PENDING, CONFIRMED, REJECTED, CANCELLED]],
    [delivered, DELIVERED, [PENDING, CONFIRMED, REJECTED, SHIPPED, CANCELLED]],
    [cancelled, CANCELLED, [PENDING, CONFIRMED, REJECTED, SHIPPED, DELIVERED]],
  ];
  for (const [{ orderId }, from, moves] of refused) {
    for (const to of moves) {
      expect(await refusalOf(move({ orderId }, to)), `${statusName(from)} -> ${statusName(to)}`).toMatchObject({
        code: "FailedPrecondition",
        reason: "ORDER_MOVE_REFUSED",
      });
    }
    expect((await buyer.orders.getOrderByID({ orderId })).order!.status).toBe(from);
  }
});

test("of two concurrent transitions by administrators one succeeds and the other gets an error", async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 10 });
  for (let round = 0; round < 5; round++) {
    const order = await placeOrder(buyer, [product, 1]);
    await decided(buyer, order);
    const outcomes = await Promise.all([refusalOf(move(order, SHIPPED)), refusalOf(move(order, CANCELLED))]);
    expect(outcomes.map(({ code }) => code).sort()).toEqual(["FailedPrecondition", "answered"]);
  }
});

describe("another user's", () => {
  test("order is not found, whether it exists or not, and can't be moved", async () => {
    const [owner, other] = await Promise.all([signUp(), signUp()]);
    const { orderId } = await placeOrder(owner, [await addProduct(admin), 1]);
    const theirs = await refusalOf(other.orders.getOrderByID({ orderId }));
    const nobodys = await refusalOf(other.orders.getOrderByID({ orderId: "order_01h455vb4pex5vsknk084sn02q" }));
    expect(theirs).toEqual({ code: "NotFound", reason: "ORDER_NOT_FOUND", violations: [] });
    expect(nobodys).toEqual(theirs);
    expect((await refusalOf(other.orders.updateOrderStatus({ orderId, status: CANCELLED }))).code).toBe(
      "PermissionDenied",
    );
    expect((await other.orders.getOrdersByUser({})).orders).toEqual([]);
    expect((await admin.orders.getOrderByID({ orderId })).order!.userId).toBe(owner.userId);
  });

  test("page token of an order history does not open another's", async () => {
    const [owner, other] = await Promise.all([signUp(), signUp()]);
    const product = await addProduct(admin);
    for (let count = 0; count < 2; count++) await placeOrder(owner, [product, 1]);
    const { nextPageToken } = await owner.orders.getOrdersByUser({ pageSize: 1 });
    expect(await refusalOf(other.orders.getOrdersByUser({ pageSize: 1, pageToken: nextPageToken }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["page_token"],
    });
  });

  test("profile is not found, one's own shows the registered data, and an administrator reads all", async () => {
    const [owner, other] = await Promise.all([signUp(), signUp()]);
    const { userId, username } = owner;
    const own = { userId, username, roles: [Role.CUSTOMER] };
    expect((await owner.users.getUserProfile({ userId })).profile).toMatchObject(own);
    expect((await admin.users.getUserProfile({ userId })).profile).toMatchObject(own);
    expect(await refusalOf(other.users.getUserProfile({ userId }))).toMatchObject({
      code: "NotFound",
      reason: "USER_NOT_FOUND",
    });
    expect((await refusalOf(anonymous.users.getUserProfile({ userId }))).code).toBe("Unauthenticated");
    const { profile } = await admin.users.getUserProfile({ userId: admin.userId });
    expect(profile!.roles).toContain(Role.ADMIN);
  });
});

test("an account's name is compared ignoring case, and shown as registered", async () => {
  const username = unique("Grace.Hopper_");
  const { userId } = await anonymous.users.register({ username, password });
  expect(await refusalOf(anonymous.users.register({ username: username.toUpperCase(), password }))).toMatchObject({
    code: "AlreadyExists",
    reason: "USERNAME_TAKEN",
  });
  const grace = await signIn(username.toUpperCase());
  expect((await grace.users.getUserProfile({ userId })).profile!.username).toBe(username);
});
