import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import { expect, test } from "vitest";
import { runningProcesses } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";
import { refusalOf } from "./refusal.ts";
import {
  type Account,
  addProduct,
  anonymous,
  decided,
  password,
  placeOrder,
  shop,
  signIn,
  signInAdmin,
  signUp,
} from "./shopping.ts";

const withinMs = 5_000;
const backTimeoutMs = 30_000;
const allGood = { users: 200, inventory: 403, orders: 200, public: 200 };
const allRefused = { users: 401, inventory: 401, orders: 401, public: 401 };

/** The status of a call with an access token at each service's own port, and at the public one. */
async function statuses({ userId, headers }: Account) {
  const status = async (url: string, method = "GET") => (await fetch(url, { method, headers })).status;
  const [users, inventory, orders, onPublic] = await Promise.all([
    status(`${shop.usersUrl}/profile/${userId}`),
    // An ADMIN method: a customer with a valid token gets 403.
    status(`${shop.inventoryUrl}/products/product_01h455vb4pex5vsknk084sn02q`, "DELETE"),
    status(`${shop.ordersUrl}/orders`),
    status(`${shop.url}/orders`),
  ]);
  return { users, inventory, orders, public: onPublic };
}

async function expectRefusedSoon(account: Account): Promise<void> {
  await eventually(async () => expect(await statuses(account)).toEqual(allRefused), { timeoutMs: withinMs });
}

test("after a sign-out every service refuses the session within five seconds, and accepts the user's other session", async () => {
  const phone = await signUp();
  const laptop = await signIn(phone.username);
  expect(await statuses(phone)).toEqual(allGood);
  await phone.users.signOut({});
  await expectRefusedSoon(phone);
  expect(await statuses(laptop)).toEqual(allGood);
});

test("after a sign-out everywhere every session is refused, and the user can sign in again at once", async () => {
  const phone = await signUp();
  const laptop = await signIn(phone.username);
  for (const session of [phone, laptop]) expect(await statuses(session)).toEqual(allGood);
  await phone.users.signOutEverywhere({ userId: phone.userId });
  const again = await signIn(phone.username);
  for (const session of [phone, laptop]) await expectRefusedSoon(session);
  expect(await statuses(again)).toEqual(allGood);
});

test("reuse of a spent refresh token ends the access of its session, too", { timeout: 40_000 }, async () => {
  const { username } = await signUp();
  const { refreshToken } = await anonymous.users.authenticate({ username, password });
  const { accessToken, userId } = await anonymous.users.refreshToken({ refreshToken });
  const authorization = `Bearer ${accessToken}`;
  const session = { ...(await signIn(username)), userId, headers: { authorization } };
  expect(await statuses(session)).toEqual(allGood);
  await eventually(
    async () => expect((await refusalOf(anonymous.users.refreshToken({ refreshToken }))).code).toBe("Unauthenticated"),
    { timeoutMs: 15_000, everyMs: 500 },
  );
  await expectRefusedSoon(session);
});

test("a granted or revoked role applies everywhere within five seconds, once the token is refreshed", async () => {
  const admin = await signInAdmin();
  const account = await signUp();
  const { refreshToken } = await anonymous.users.authenticate({ username: account.username, password });
  const { userId } = account;
  const isAdmin = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${shop.ordersUrl}/admin/orders?page_size=1`, { headers })).status;
  };
  expect(await isAdmin(account.headers.authorization.split(" ")[1]!)).toBe(403);
  await admin.users.setRoles({ userId, roles: [Role.CUSTOMER, Role.ADMIN] });
  await expectRefusedSoon(account);
  const promoted = await anonymous.users.refreshToken({ refreshToken });
  expect(await isAdmin(promoted.accessToken)).toBe(200);
  await admin.users.setRoles({ userId, roles: [Role.CUSTOMER] });
  await eventually(async () => expect(await isAdmin(promoted.accessToken)).toBe(401), { timeoutMs: withinMs });
  const demoted = await anonymous.users.refreshToken({ refreshToken: promoted.refreshToken });
  expect(await isAdmin(demoted.accessToken)).toBe(403);
});

test("a disabled account is refused everywhere within five seconds, and by the sign-in", async () => {
  const admin = await signInAdmin();
  const account = await signUp();
  expect(await statuses(account)).toEqual(allGood);
  await admin.users.disableUser({ userId: account.userId });
  expect(await refusalOf(signIn(account.username))).toMatchObject({ reason: "ACCOUNT_DISABLED" });
  await expectRefusedSoon(account);
  await admin.users.enableUser({ userId: account.userId });
  expect(await statuses(await signIn(account.username))).toEqual(allGood);
});

test("a password change ends the other sessions, and this one continues with the new token", async () => {
  const phone = await signUp();
  const laptop = await signIn(phone.username);
  const { accessToken } = await phone.users.changePassword({ oldPassword: password, newPassword: `${password}!` });
  for (const session of [phone, laptop]) await expectRefusedSoon(session);
  expect(await statuses({ ...phone, headers: { authorization: `Bearer ${accessToken}` } })).toEqual(allGood);
});

test("a deleted account is refused everywhere within five seconds, and its orders lose their owner", {
  timeout: 60_000,
}, async () => {
  const admin = await signInAdmin();
  const [account, product] = [await signUp(), await addProduct(admin)];
  const { orderId } = await decided(account, await placeOrder(account, [product, 1]));
  await account.users.deleteAccount({ password });
  await expectRefusedSoon(account);
  expect(await refusalOf(signIn(account.username))).toMatchObject({ reason: "WRONG_CREDENTIALS" });
  const order = await eventually(
    async () => {
      const { order } = await admin.orders.getOrderByID({ orderId });
      expect(order!.userId).toBe("");
      return order!;
    },
    { timeoutMs: backTimeoutMs },
  );
  expect(order.status).toBe(OrderStatus.CONFIRMED);
  const { events } = await admin.orders.listOrderEvents({ orderId });
  expect(events.map(({ actor }) => actor)).toEqual(["", "inventory"]);
});

test("a watch ends when its caller signs out", async () => {
  const [watcher, product] = [await signUp(), await addProduct(await signInAdmin())];
  const { orderId } = await decided(watcher, await placeOrder(watcher, [product, 1]));
  const watch = watcher.orders.watchOrder({ orderId }, { timeoutMs: 0 })[Symbol.asyncIterator]();
  await watch.next();
  const ended = (async () => {
    while (!(await watch.next()).done);
  })();
  await watcher.users.signOut({});
  expect(await refusalOf(ended)).toMatchObject({ code: "Unauthenticated", reason: "ACCESS_TOKEN_INVALID" });
});

test("a restarted process knows earlier revocations", { timeout: 60_000 }, async () => {
  const account = await signUp();
  const other = await signUp();
  await account.users.signOut({});
  await expectRefusedSoon(account);
  const name = shop.topology === "split" ? "orders" : "all-in-one";
  const processOf = () => runningProcesses(shop.dataDir).find((entry) => entry.name === name);
  const { pid } = processOf()!;
  process.kill(pid, "SIGKILL");
  const status = async ({ headers }: Account) =>
    (await fetch(`${shop.ordersUrl}/orders`, { headers, signal: AbortSignal.timeout(2_000) })).status;
  // Its very first response.
  const first = await eventually(
    async () => {
      expect(processOf()?.pid).not.toBe(pid);
      return await status(account);
    },
    { timeoutMs: backTimeoutMs },
  );
  expect(first).toBe(401);
  expect(await status(other)).toBe(200);
  await eventually(async () => expect((await fetch(`${shop.url}/readyz`)).status).toBe(200), {
    timeoutMs: backTimeoutMs,
  });
});

test("access revoked while NATS is down is refused once it is back", { timeout: 60_000 }, async () => {
  const account = await signUp();
  expect(await statuses(account)).toEqual(allGood);
  const processOf = () => runningProcesses(shop.dataDir).find(({ name }) => name === "nats");
  const { pid } = processOf()!;
  process.kill(pid, "SIGKILL");
  await account.users.signOut({});
  await eventually(async () => expect(await statuses(account)).toEqual(allRefused), { timeoutMs: backTimeoutMs });
  expect(processOf()?.pid).not.toBe(pid);
});
