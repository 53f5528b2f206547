import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { expect } from "vitest";
import { type AnyMethod, nameOf } from "./clients.ts";
import { password, shop, unique } from "./shopping.ts";

/**
 * Who calls. `owner` has one order, `customer` is another customer, `leaver` a new customer at each call, `platform` is
 * the service orders, which calls inventory.
 */
export type Caller = "nobody" | "forger" | "owner" | "customer" | "leaver" | "admin" | "platform" | "starter";

/** What is there before the rows are tried. All JSON is canonical protobuf JSON. */
export interface World {
  readonly ids: Readonly<Record<"owner" | "customer" | "admin", string>>;
  readonly owner: { readonly username: string; readonly profile: JsonObject };
  /** A product that the rows only read. */
  readonly product: JsonObject & { readonly productId: string; readonly category: string; readonly sku: string };
  /** The owner's order, CONFIRMED. */
  readonly order: JsonObject & { readonly orderId: string };
  /** Another product of 12.50 EUR, with plenty of stock, to be ordered. */
  readonly plenty: JsonObject & { readonly productId: string; readonly name: string };
  /** An account that nobody else uses, and its session. */
  newAccount(): Promise<{
    readonly userId: string;
    readonly username: string;
    readonly sessionId: string;
    readonly refreshToken: string;
  }>;
  /** Another session of the owner's. */
  newSession(): Promise<{ readonly sessionId: string }>;
  newProduct(): Promise<JsonObject & { readonly productId: string }>;
  newDeletedProduct(): Promise<JsonObject & { readonly productId: string }>;
  newConfirmedOrder(): Promise<JsonObject & { readonly orderId: string }>;
  /** StockReserved for an order that nobody knows, set aside as if this consumer had given it up. Without its payload. */
  newDeadLetter(consumer: string): Promise<JsonObject & { readonly deadLetterId: string }>;
}

export interface ExpectedError {
  readonly code: string;
  readonly reason: string;
  readonly violations?: readonly string[];
}

/** One call and what must come of it, in every protocol. */
export interface Row {
  readonly method: AnyMethod;
  readonly as: Caller;
  readonly says: string;
  request(world: World): JsonObject | Promise<JsonObject>;
  /** The whole response message; the first one of a stream. */
  answers?(world: World, request: JsonObject): JsonValue;
  readonly refuses?: ExpectedError;
}

/** Who may call each method: written by hand, so that the schema's rules are checked against it. */
export const mayCall: Readonly<Record<string, "anybody" | "accounts" | "admins" | "platform">> = {
  "shop.users.v1.UserService/Register": "anybody",
  "shop.users.v1.UserService/Authenticate": "anybody",
  "shop.users.v1.UserService/RefreshToken": "anybody",
  "shop.users.v1.UserService/CreateStreamTicket": "accounts",
  "shop.users.v1.UserService/SignOut": "accounts",
  "shop.users.v1.UserService/SignOutEverywhere": "accounts",
  "shop.users.v1.UserService/ListSessions": "accounts",
  "shop.users.v1.UserService/GetUserProfile": "accounts",
  "shop.users.v1.UserService/UpdateUserProfile": "accounts",
  "shop.users.v1.UserService/ChangePassword": "accounts",
  "shop.users.v1.UserService/DeleteAccount": "accounts",
  "shop.users.v1.UserService/ListUsers": "admins",
  "shop.users.v1.UserService/SetRoles": "admins",
  "shop.users.v1.UserService/DisableUser": "admins",
  "shop.users.v1.UserService/EnableUser": "admins",
  "shop.users.v1.UserService/ResetPassword": "platform",
  "shop.users.v1.UserService/ListSecurityEvents": "admins",
  "shop.common.v1.TokenKeyService/ListTokenKeys": "anybody",
  "shop.inventory.v1.InventoryService/CreateProduct": "admins",
  "shop.inventory.v1.InventoryService/ListProducts": "anybody",
  "shop.inventory.v1.InventoryService/GetProductByID": "anybody",
  "shop.inventory.v1.InventoryService/UpdateProduct": "admins",
  "shop.inventory.v1.InventoryService/DeleteProduct": "admins",
  "shop.inventory.v1.InventoryService/AdjustStock": "admins",
  "shop.inventory.v1.InventoryService/ListStockMovements": "admins",
  "shop.inventory.v1.InventoryService/WatchStock": "anybody",
  "shop.inventory.v1.InventoryService/UndeleteProduct": "admins",
  "shop.inventory.v1.InventoryService/BatchGetProducts": "anybody",
  "shop.orders.v1.OrderService/CreateOrder": "accounts",
  "shop.orders.v1.OrderService/GetOrderByID": "accounts",
  "shop.orders.v1.OrderService/UpdateOrderStatus": "admins",
  "shop.orders.v1.OrderService/CancelOrder": "accounts",
  "shop.orders.v1.OrderService/ListOrderEvents": "accounts",
  "shop.orders.v1.OrderService/WatchOrder": "accounts",
  "shop.orders.v1.OrderService/GetOrdersByUser": "accounts",
  "shop.orders.v1.OrderService/ListOrders": "admins",
  "shop.inventory.v1.InventoryService/BatchGetReservations": "platform",
  "shop.inventory.v1.InventoryService/DecideOrders": "platform",
  "shop.inventory.v1.InventoryService/ListReservations": "platform",
  "shop.inventory.v1.InventoryService/AuditStock": "admins",
  "shop.inventory.v1.InventoryService/RepairStock": "admins",
  "shop.orders.v1.OrderService/AuditOrders": "admins",
  "shop.orders.v1.OrderService/RepairOrders": "admins",
  "shop.common.v1.DeadLetterService/ListDeadLetters": "admins",
  "shop.common.v1.DeadLetterService/GetDeadLetter": "admins",
  "shop.common.v1.DeadLetterService/RedriveDeadLetter": "admins",
  "shop.common.v1.DeadLetterService/DeleteDeadLetter": "admins",
};

/** What the gate answers to whom; nobody else is stopped by it. */
export const gateRefuses: Readonly<Record<(typeof mayCall)[string], Partial<Record<Caller, ExpectedError>>>> = {
  anybody: {},
  accounts: {
    nobody: { code: "Unauthenticated", reason: "ACCESS_TOKEN_MISSING" },
    forger: { code: "Unauthenticated", reason: "ACCESS_TOKEN_INVALID" },
  },
  admins: {
    nobody: { code: "Unauthenticated", reason: "ACCESS_TOKEN_MISSING" },
    forger: { code: "Unauthenticated", reason: "ACCESS_TOKEN_INVALID" },
    owner: { code: "PermissionDenied", reason: "ADMIN_REQUIRED" },
    customer: { code: "PermissionDenied", reason: "ADMIN_REQUIRED" },
  },
  platform: {
    nobody: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    forger: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    owner: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    customer: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    admin: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
  },
};

/** A request that no method with rules for its fields accepts, so that a call which passes the gate changes nothing. */
export const invalidRequests: Readonly<Record<string, JsonObject>> = {
  "shop.users.v1.UserService/Register": { username: "?" },
  "shop.users.v1.UserService/Authenticate": {},
  "shop.users.v1.UserService/RefreshToken": { refreshToken: "r".repeat(257) },
  "shop.users.v1.UserService/CreateStreamTicket": { path: "none" },
  "shop.users.v1.UserService/SignOut": { sessionId: "none" },
  "shop.users.v1.UserService/SignOutEverywhere": { userId: "none" },
  "shop.users.v1.UserService/ListSessions": { pageSize: -1 },
  "shop.users.v1.UserService/GetUserProfile": { userId: "none" },
  "shop.users.v1.UserService/UpdateUserProfile": { profile: { userId: "none" } },
  "shop.users.v1.UserService/ChangePassword": {},
  "shop.users.v1.UserService/DeleteAccount": {},
  "shop.users.v1.UserService/ListUsers": { pageSize: -1 },
  "shop.users.v1.UserService/SetRoles": { userId: "none" },
  "shop.users.v1.UserService/DisableUser": { userId: "none" },
  "shop.users.v1.UserService/EnableUser": { userId: "none" },
  "shop.users.v1.UserService/ResetPassword": {},
  "shop.users.v1.UserService/ListSecurityEvents": { pageSize: -1 },
  "shop.common.v1.TokenKeyService/ListTokenKeys": {},
  "shop.inventory.v1.InventoryService/CreateProduct": { product: {} },
  "shop.inventory.v1.InventoryService/ListProducts": { pageSize: -1 },
  "shop.inventory.v1.InventoryService/GetProductByID": { productId: "none" },
  "shop.inventory.v1.InventoryService/UpdateProduct": { product: { productId: "none" } },
  "shop.inventory.v1.InventoryService/DeleteProduct": { productId: "none" },
  "shop.inventory.v1.InventoryService/AdjustStock": { productId: "none" },
  "shop.inventory.v1.InventoryService/ListStockMovements": { productId: "none" },
  "shop.inventory.v1.InventoryService/WatchStock": { productId: "none" },
  "shop.inventory.v1.InventoryService/UndeleteProduct": { productId: "none" },
  "shop.inventory.v1.InventoryService/BatchGetProducts": {},
  "shop.orders.v1.OrderService/CreateOrder": { items: [] },
  "shop.orders.v1.OrderService/GetOrderByID": { orderId: "none" },
  "shop.orders.v1.OrderService/UpdateOrderStatus": { orderId: "none" },
  "shop.orders.v1.OrderService/CancelOrder": { orderId: "none" },
  "shop.orders.v1.OrderService/ListOrderEvents": { orderId: "none" },
  "shop.orders.v1.OrderService/WatchOrder": { orderId: "none" },
  "shop.orders.v1.OrderService/GetOrdersByUser": { pageSize: -1 },
  "shop.orders.v1.OrderService/ListOrders": { pageSize: -1 },
  "shop.inventory.v1.InventoryService/BatchGetReservations": {},
  "shop.inventory.v1.InventoryService/DecideOrders": {},
  "shop.inventory.v1.InventoryService/ListReservations": { pageToken: "none" },
  "shop.inventory.v1.InventoryService/AuditStock": { pageToken: "none" },
  "shop.inventory.v1.InventoryService/RepairStock": {},
  "shop.orders.v1.OrderService/AuditOrders": { pageToken: "none" },
  "shop.orders.v1.OrderService/RepairOrders": {},
  "shop.common.v1.DeadLetterService/ListDeadLetters": { pageSize: -1 },
  "shop.common.v1.DeadLetterService/GetDeadLetter": { deadLetterId: "none" },
  "shop.common.v1.DeadLetterService/RedriveDeadLetter": { deadLetterId: "none" },
  "shop.common.v1.DeadLetterService/DeleteDeadLetter": { deadLetterId: "none" },
};

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const idOf = (kind: string) => expect.stringMatching(new RegExp(`^${kind}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
const unknown = (kind: string) => `${kind}_01h455vb4pex5vsknk084sn02q`;
const invalid = (...violations: string[]): ExpectedError => ({
  code: "InvalidArgument",
  reason: "INVALID_FIELDS",
  violations,
});
const notFound = (reason: string): ExpectedError => ({ code: "NotFound", reason });

const euros = { currencyCode: "EUR", minorUnits: "1250" };
const newProduct = () => ({ name: unique("Kettle"), category: unique("Kitchen"), price: euros });

const tokens = {
  accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
  tokenType: "Bearer",
  expiresInSeconds: 600,
  refreshToken: expect.stringMatching(/^[\w-]{64}$/),
  refreshExpiresInSeconds: 14 * 24 * 60 * 60,
  sessionId: idOf("session"),
};

/** Keys that sign, have signed lately or will soon, as JSON Web Keys of nothing but their public halves. */
function arePublicKeys(keys: readonly unknown[]): boolean {
  const publicKey = {
    kty: "OKP",
    crv: "Ed25519",
    kid: expect.any(String),
    x: expect.stringMatching(/^[\w-]{43}$/),
    alg: "EdDSA",
    use: "sig",
  };
  expect(keys).toEqual(keys.map(() => publicKey));
  return keys.length > 0;
}

const users: readonly Row[] = [
  {
    method: UserService.method.register,
    as: "nobody",
    says: "makes an account",
    request: () => ({ username: unique("row"), password }),
    answers: () => ({ userId: idOf("user") }),
  },
  {
    method: UserService.method.register,
    as: "forger",
    says: "makes an account, since tokens do not matter here",
    request: () => ({ username: unique("row"), password }),
    answers: () => ({ userId: idOf("user") }),
  },
  {
    method: UserService.method.register,
    as: "nobody",
    says: "refuses a name that is taken, whatever its case",
    request: ({ owner }) => ({ username: owner.username.toUpperCase(), password }),
    refuses: { code: "AlreadyExists", reason: "USERNAME_TAKEN" },
  },
  {
    method: UserService.method.register,
    as: "nobody",
    says: "refuses a bad name and a short password at once",
    request: () => ({ username: "a b", password: "short" }),
    refuses: invalid("username", "password"),
  },
  {
    method: UserService.method.register,
    as: "nobody",
    says: "refuses a password that everybody has",
    request: () => ({ username: unique("row"), password: "Football" }),
    refuses: { code: "InvalidArgument", reason: "PASSWORD_TOO_COMMON", violations: ["password"] },
  },
  {
    method: UserService.method.authenticate,
    as: "nobody",
    says: "answers a token, whatever the case of the name",
    request: ({ owner }) => ({ username: owner.username.toUpperCase(), password }),
    answers: ({ ids }) => ({ userId: ids.owner, ...tokens }),
  },
  {
    method: UserService.method.authenticate,
    as: "nobody",
    says: "refuses a wrong password",
    request: ({ owner }) => ({ username: owner.username, password: "not the password" }),
    refuses: { code: "Unauthenticated", reason: "WRONG_CREDENTIALS" },
  },
  {
    method: UserService.method.authenticate,
    as: "nobody",
    says: "refuses an unknown name the same way",
    request: () => ({ username: unique("row"), password }),
    refuses: { code: "Unauthenticated", reason: "WRONG_CREDENTIALS" },
  },
  {
    method: UserService.method.authenticate,
    as: "nobody",
    says: "refuses empty fields",
    request: () => ({}),
    refuses: invalid("username", "password"),
  },
  ...(["owner", "admin"] as const).map(
    (as): Row => ({
      method: UserService.method.getUserProfile,
      as,
      says: "reads the owner's profile",
      request: ({ ids }) => ({ userId: ids.owner }),
      answers: ({ owner }) => ({ profile: owner.profile }),
    }),
  ),
  {
    method: UserService.method.getUserProfile,
    as: "customer",
    says: "does not see somebody else's profile",
    request: ({ ids }) => ({ userId: ids.owner }),
    refuses: notFound("USER_NOT_FOUND"),
  },
  {
    method: UserService.method.getUserProfile,
    as: "admin",
    says: "does not find an unknown user",
    request: () => ({ userId: unknown("user") }),
    refuses: notFound("USER_NOT_FOUND"),
  },
  {
    method: UserService.method.getUserProfile,
    as: "owner",
    says: "refuses what is not an id",
    request: () => ({ userId: "me" }),
    refuses: invalid("user_id"),
  },
  {
    method: TokenKeyService.method.listTokenKeys,
    as: "nobody",
    says: "lists public keys, and nothing private",
    request: () => ({}),
    answers: () => ({ keys: expect.toSatisfy(arePublicKeys, "are public keys") }),
  },
];

const sessions: readonly Row[] = [
  {
    method: UserService.method.refreshToken,
    as: "nobody",
    says: "answers the next tokens",
    request: async (world) => ({ refreshToken: (await world.newAccount()).refreshToken }),
    answers: () => ({ userId: idOf("user"), ...tokens }),
  },
  {
    method: UserService.method.refreshToken,
    as: "forger",
    says: "refuses a token that nobody was given",
    request: () => ({ refreshToken: "A".repeat(64) }),
    refuses: { code: "Unauthenticated", reason: "REFRESH_TOKEN_INVALID" },
  },
  {
    method: UserService.method.refreshToken,
    as: "nobody",
    says: "refuses who has neither a token nor the cookie",
    request: () => ({}),
    refuses: { code: "Unauthenticated", reason: "REFRESH_TOKEN_INVALID" },
  },
  {
    method: UserService.method.refreshToken,
    as: "nobody",
    says: "refuses what is too long for a token",
    request: () => ({ refreshToken: "r".repeat(257) }),
    refuses: invalid("refresh_token"),
  },
  {
    method: UserService.method.createStreamTicket,
    as: "owner",
    says: "answers a ticket, which is no access token",
    request: ({ order }) => ({ path: `/orders/${order.orderId}:watch` }),
    answers: () => ({ ticket: tokens.accessToken, expiresInSeconds: expect.any(Number) }),
  },
  {
    method: UserService.method.createStreamTicket,
    as: "owner",
    says: "refuses what is no path",
    request: () => ({ path: "https://shop.example/orders" }),
    refuses: invalid("path"),
  },
  {
    method: UserService.method.signOut,
    as: "owner",
    says: "ends another session of the owner's",
    request: async (world) => ({ sessionId: (await world.newSession()).sessionId }),
    answers: () => ({}),
  },
  {
    method: UserService.method.signOut,
    as: "admin",
    says: "does not see somebody else's session",
    request: async (world) => ({ sessionId: (await world.newSession()).sessionId }),
    refuses: notFound("SESSION_NOT_FOUND"),
  },
  {
    method: UserService.method.signOutEverywhere,
    as: "admin",
    says: "ends all sessions of a user",
    request: async (world) => ({ userId: (await world.newAccount()).userId }),
    answers: () => ({}),
  },
  {
    method: UserService.method.signOutEverywhere,
    as: "customer",
    says: "does not see somebody else",
    request: ({ ids }) => ({ userId: ids.owner }),
    refuses: notFound("USER_NOT_FOUND"),
  },
  {
    method: UserService.method.listSessions,
    as: "customer",
    says: "lists the caller's only session",
    request: () => ({}),
    answers: () => ({
      sessions: [
        {
          sessionId: idOf("session"),
          current: true,
          userAgent: expect.any(String),
          createTime: time,
          lastUseTime: time,
          expireTime: time,
        },
      ],
    }),
  },
  {
    method: UserService.method.listSessions,
    as: "customer",
    says: "refuses a page token that was not made here",
    request: () => ({ pageToken: "AAAA" }),
    refuses: invalid("page_token"),
  },
];

/** An account as it is, apart from what is said of it. */
const profile = (userId: JsonValue, says: JsonObject = {}) => ({
  userId,
  username: expect.any(String),
  roles: ["ROLE_CUSTOMER"],
  createTime: time,
  etag: expect.any(String),
  updateTime: time,
  ...says,
});

const accounts: readonly Row[] = [
  {
    method: UserService.method.updateUserProfile,
    as: "customer",
    says: "changes what they are called",
    request: ({ ids }) => ({ profile: { userId: ids.customer, displayName: "Žofie 🌻" }, updateMask: "displayName" }),
    answers: ({ ids }) => ({ profile: profile(ids.customer, { displayName: "Žofie 🌻" }) }),
  },
  {
    method: UserService.method.updateUserProfile,
    as: "customer",
    says: "refuses what is not theirs to change",
    request: ({ ids }) => ({
      profile: { userId: ids.customer, roles: ["ROLE_ADMIN"], username: "admin" },
      updateMask: "username,roles",
    }),
    refuses: invalid("profile.username", "profile.roles"),
  },
  {
    method: UserService.method.updateUserProfile,
    as: "customer",
    says: "refuses a stale etag",
    request: ({ ids }) => ({
      profile: { userId: ids.customer, displayName: "Too late", etag: "v0" },
      updateMask: "displayName",
    }),
    refuses: { code: "Aborted", reason: "USER_CHANGED" },
  },
  {
    method: UserService.method.updateUserProfile,
    as: "admin",
    says: "does not see somebody else's profile",
    request: ({ ids }) => ({ profile: { userId: ids.owner, displayName: "Mine" }, updateMask: "displayName" }),
    refuses: notFound("USER_NOT_FOUND"),
  },
  {
    method: UserService.method.changePassword,
    as: "leaver",
    says: "changes it, and goes on with another token",
    request: () => ({ oldPassword: password, newPassword: "a better one than before" }),
    answers: () => ({ accessToken: tokens.accessToken, tokenType: "Bearer", expiresInSeconds: 600 }),
  },
  {
    method: UserService.method.changePassword,
    as: "owner",
    says: "refuses a wrong password",
    request: () => ({ oldPassword: "not the password", newPassword: "a better one than before" }),
    refuses: { code: "PermissionDenied", reason: "WRONG_PASSWORD" },
  },
  {
    method: UserService.method.changePassword,
    as: "owner",
    says: "refuses a new password that is too short",
    request: () => ({ oldPassword: password, newPassword: "short" }),
    refuses: invalid("new_password"),
  },
  {
    method: UserService.method.deleteAccount,
    as: "leaver",
    says: "deletes it",
    request: () => ({ password }),
    answers: () => ({}),
  },
  {
    method: UserService.method.deleteAccount,
    as: "owner",
    says: "refuses a wrong password",
    request: () => ({ password: "not the password" }),
    refuses: { code: "PermissionDenied", reason: "WRONG_PASSWORD" },
  },
  {
    method: UserService.method.deleteAccount,
    as: "admin",
    says: "does not leave the shop without an administrator",
    request: () => ({ password: shop.admin.password }),
    refuses: { code: "FailedPrecondition", reason: "LAST_ADMIN" },
  },
  {
    method: UserService.method.resetPassword,
    as: "starter",
    says: "gives an account another password",
    request: async (world) => ({ username: (await world.newAccount()).username, newPassword: "one that is known" }),
    answers: () => ({ profile: profile(idOf("user")) }),
  },
  {
    method: UserService.method.resetPassword,
    as: "starter",
    says: "does not know an account that is not there",
    request: () => ({ username: "nobody-has-this-name", newPassword: "one that is known" }),
    refuses: notFound("USER_NOT_FOUND"),
  },
  {
    method: UserService.method.listUsers,
    as: "admin",
    says: "lists those whose name begins so, whatever its case",
    request: async (world) => ({ usernamePrefix: (await world.newAccount()).username.toUpperCase() }),
    answers: () => ({ users: [profile(idOf("user"))] }),
  },
  {
    method: UserService.method.listUsers,
    as: "admin",
    says: "refuses a page token that was not made here",
    request: () => ({ pageToken: "AAAA" }),
    refuses: invalid("page_token"),
  },
  {
    method: UserService.method.setRoles,
    as: "admin",
    says: "says what an account may do",
    request: async (world) => ({ userId: (await world.newAccount()).userId, roles: ["ROLE_CUSTOMER"] }),
    answers: (_, { userId }) => ({ profile: profile(userId!) }),
  },
  {
    method: UserService.method.setRoles,
    as: "admin",
    says: "does not leave the shop without an administrator",
    request: ({ ids }) => ({ userId: ids.admin, roles: ["ROLE_CUSTOMER"] }),
    refuses: { code: "FailedPrecondition", reason: "LAST_ADMIN" },
  },
  {
    method: UserService.method.setRoles,
    as: "admin",
    says: "refuses no role at all",
    request: ({ ids }) => ({ userId: ids.customer }),
    refuses: invalid("roles"),
  },
  {
    method: UserService.method.disableUser,
    as: "admin",
    says: "shuts an account out",
    request: async (world) => ({ userId: (await world.newAccount()).userId }),
    answers: (_, { userId }) => ({ profile: profile(userId!, { disabled: true }) }),
  },
  {
    method: UserService.method.disableUser,
    as: "admin",
    says: "does not leave the shop without an administrator",
    request: ({ ids }) => ({ userId: ids.admin }),
    refuses: { code: "FailedPrecondition", reason: "LAST_ADMIN" },
  },
  {
    method: UserService.method.enableUser,
    as: "admin",
    says: "leaves an account as it is that was not shut out",
    request: async (world) => ({ userId: (await world.newAccount()).userId }),
    answers: (_, { userId }) => ({ profile: profile(userId!) }),
  },
  {
    method: UserService.method.listSecurityEvents,
    as: "admin",
    says: "lists what happened to one account",
    request: async (world) => ({ userId: (await world.newAccount()).userId }),
    answers: (_, { userId }) => ({
      securityEvents: [
        {
          securityEventId: idOf("event"),
          kind: "SECURITY_EVENT_KIND_SIGNED_IN",
          userId: userId!,
          actor: userId!,
          sessionId: idOf("session"),
          time,
        },
      ],
    }),
  },
  {
    method: UserService.method.listSecurityEvents,
    as: "admin",
    says: "refuses what is not a user's id",
    request: () => ({ userId: "me" }),
    refuses: invalid("user_id"),
  },
  ...(["setRoles", "disableUser", "enableUser"] as const).map(
    (name): Row => ({
      method: UserService.method[name],
      as: "admin",
      says: "does not find an unknown user",
      request: () => ({ userId: unknown("user"), ...(name === "setRoles" ? { roles: ["ROLE_ADMIN"] } : {}) }),
      refuses: notFound("USER_NOT_FOUND"),
    }),
  ),
];

const inventory: readonly Row[] = [
  {
    method: InventoryService.method.createProduct,
    as: "admin",
    says: "adds a product with all that can be said of it",
    request: () => ({
      product: {
        ...newProduct(),
        description: "Whistles",
        stock: 7,
        sku: unique("sku"),
        imageUrl: "https://example.com/kettle.jpg?size=1#front",
        attributes: { color: "red", power_kw: "2" },
        state: "PRODUCT_STATE_ARCHIVED",
      },
    }),
    answers: (_, { product }) => ({
      product: {
        ...(product as JsonObject),
        productId: idOf("product"),
        etag: expect.any(String),
        createTime: time,
        updateTime: time,
      },
    }),
  },
  {
    method: InventoryService.method.createProduct,
    as: "admin",
    says: "refuses a SKU that another product carries",
    request: ({ product }) => ({ product: { ...newProduct(), sku: product.sku } }),
    refuses: { code: "AlreadyExists", reason: "SKU_TAKEN" },
  },
  {
    method: InventoryService.method.createProduct,
    as: "admin",
    says: "refuses bad fields, all at once",
    request: () => ({
      product: {
        name: "n".repeat(201),
        category: "c".repeat(101),
        price: { currencyCode: "euro", minorUnits: "-1" },
        stock: -1,
        sku: "a sku",
        imageUrl: "javascript:alert(1)",
        attributes: { "a.b": "1" },
        state: 9,
      },
    }),
    refuses: invalid(
      "product.name",
      "product.category",
      "product.price.currency_code",
      "product.price.minor_units",
      "product.stock",
      "product.sku",
      "product.image_url",
      'product.attributes["a.b"]',
      "product.state",
    ),
  },
  {
    method: InventoryService.method.listProducts,
    as: "nobody",
    says: "lists a category",
    request: ({ product }) => ({ category: product.category }),
    answers: ({ product }) => ({ products: [product] }),
  },
  {
    method: InventoryService.method.listProducts,
    as: "forger",
    says: "lists nothing of an empty category, since tokens do not matter here",
    request: () => ({ category: unique("none"), pageSize: 5 }),
    answers: () => ({}),
  },
  {
    method: InventoryService.method.listProducts,
    as: "nobody",
    says: "finds what is asked for in every way at once, and counts its category",
    request: ({ product }) => ({
      query: product.sku,
      category: product.category,
      currencyCode: "EUR",
      minPrice: "1250",
      maxPrice: "1250",
      inStock: true,
      orderBy: "price desc",
      countCategories: true,
    }),
    answers: ({ product }) => ({
      products: [product],
      categoryCounts: [{ category: product.category, count: 1 }],
    }),
  },
  {
    method: InventoryService.method.listProducts,
    as: "nobody",
    says: "refuses prices without a currency",
    request: () => ({ minPrice: "1" }),
    refuses: invalid("currency_code"),
  },
  {
    method: InventoryService.method.listProducts,
    as: "nobody",
    says: "refuses what is no attribute and no order",
    request: () => ({ attributes: ["color"], orderBy: "rating" }),
    refuses: invalid("attributes[0]", "order_by"),
  },
  {
    method: InventoryService.method.listProducts,
    as: "nobody",
    says: "refuses a page that is too large",
    request: () => ({ pageSize: 101 }),
    refuses: invalid("page_size"),
  },
  {
    method: InventoryService.method.listProducts,
    as: "nobody",
    says: "refuses a page token that was not made here",
    request: () => ({ pageToken: "bm90IG1hZGUgaGVyZSwgbm90IGhlcmU" }),
    refuses: invalid("page_token"),
  },
  {
    method: InventoryService.method.getProductByID,
    as: "nobody",
    says: "reads a product",
    request: ({ product }) => ({ productId: product.productId }),
    answers: ({ product }) => ({ product }),
  },
  {
    method: InventoryService.method.getProductByID,
    as: "nobody",
    says: "does not find an unknown product",
    request: () => ({ productId: unknown("product") }),
    refuses: notFound("PRODUCT_NOT_FOUND"),
  },
  {
    method: InventoryService.method.getProductByID,
    as: "nobody",
    says: "refuses what is not an id",
    request: () => ({ productId: "42" }),
    refuses: invalid("product_id"),
  },
  {
    method: InventoryService.method.updateProduct,
    as: "admin",
    says: "changes the field that is named",
    request: async (world) => ({
      product: { productId: (await world.newProduct()).productId, description: "Now in blue" },
      updateMask: "description",
    }),
    answers: (_, { product }) => ({
      product: {
        productId: (product as JsonObject).productId!,
        description: "Now in blue",
        name: expect.any(String),
        category: expect.any(String),
        price: euros,
        stock: 10,
        state: "PRODUCT_STATE_ACTIVE",
        etag: expect.any(String),
        createTime: time,
        updateTime: time,
      },
    }),
  },
  {
    method: InventoryService.method.updateProduct,
    as: "admin",
    says: "refuses a stale etag",
    request: ({ product }) => ({
      product: { productId: product.productId, name: "Too late", etag: "v0" },
      updateMask: "name",
    }),
    refuses: { code: "Aborted", reason: "PRODUCT_CHANGED" },
  },
  {
    method: InventoryService.method.updateProduct,
    as: "admin",
    says: "does not find an unknown product",
    request: () => ({ product: { productId: unknown("product"), name: "Nobody's" }, updateMask: "name" }),
    refuses: notFound("PRODUCT_NOT_FOUND"),
  },
  {
    method: InventoryService.method.updateProduct,
    as: "admin",
    says: "refuses to set the stock",
    request: ({ product }) => ({ product: { productId: product.productId, stock: 5 }, updateMask: "stock" }),
    refuses: invalid("product.stock"),
  },
  {
    method: InventoryService.method.deleteProduct,
    as: "admin",
    says: "takes a product out of the catalogue",
    request: async (world) => ({ productId: (await world.newProduct()).productId }),
    answers: () => ({}),
  },
  {
    method: InventoryService.method.deleteProduct,
    as: "admin",
    says: "does not find an unknown product",
    request: () => ({ productId: unknown("product") }),
    refuses: notFound("PRODUCT_NOT_FOUND"),
  },
  {
    method: InventoryService.method.deleteProduct,
    as: "admin",
    says: "refuses a stale etag",
    request: ({ product }) => ({ productId: product.productId, etag: "v0" }),
    refuses: { code: "Aborted", reason: "PRODUCT_CHANGED" },
  },
  {
    method: InventoryService.method.undeleteProduct,
    as: "admin",
    says: "puts a deleted product back",
    request: async (world) => ({ productId: (await world.newDeletedProduct()).productId }),
    answers: (_, { productId }) => ({
      product: {
        productId: productId!,
        name: expect.any(String),
        category: expect.any(String),
        price: euros,
        stock: 10,
        state: "PRODUCT_STATE_ACTIVE",
        etag: "v3",
        createTime: time,
        updateTime: time,
      },
    }),
  },
  {
    method: InventoryService.method.undeleteProduct,
    as: "admin",
    says: "refuses to put back what is there",
    request: ({ product }) => ({ productId: product.productId }),
    refuses: { code: "AlreadyExists", reason: "PRODUCT_NOT_DELETED" },
  },
  {
    method: InventoryService.method.undeleteProduct,
    as: "admin",
    says: "does not find an unknown product",
    request: () => ({ productId: unknown("product") }),
    refuses: notFound("PRODUCT_NOT_FOUND"),
  },
  {
    method: InventoryService.method.batchGetProducts,
    as: "nobody",
    says: "reads what there is",
    request: ({ product }) => ({ productIds: [product.productId, unknown("product")] }),
    answers: ({ product }) => ({ products: [product] }),
  },
  {
    method: InventoryService.method.batchGetProducts,
    as: "customer",
    says: "reads the fields that are asked for",
    request: ({ product }) => ({ productIds: [product.productId], readMask: "name,stock,etag" }),
    answers: ({ product: { productId, name, stock, etag } }) => ({
      products: [{ productId, name: name!, stock: stock!, etag: etag! }],
    }),
  },
  {
    method: InventoryService.method.batchGetProducts,
    as: "owner",
    says: "refuses a field that there is not",
    request: ({ product }) => ({ productIds: [product.productId], readMask: "terms" }),
    refuses: invalid("read_mask"),
  },
  {
    method: InventoryService.method.batchGetProducts,
    as: "forger",
    says: "refuses a request for nothing",
    request: () => ({}),
    refuses: invalid("product_ids"),
  },
];

const stock: readonly Row[] = [
  {
    method: InventoryService.method.adjustStock,
    as: "admin",
    says: "corrects what is on hand",
    request: async (world) => ({
      productId: (await world.newProduct()).productId,
      onHandDelta: 3,
      reason: "found behind the shelf",
    }),
    answers: (_, { productId }) => ({
      stock: { productId: productId!, onHand: expect.any(Number), available: expect.any(Number), sequence: 2 },
    }),
  },
  {
    method: InventoryService.method.adjustStock,
    as: "admin",
    says: "refuses to take away what is not there",
    request: async (world) => ({
      productId: (await world.newProduct()).productId,
      onHandDelta: -1_000_000,
      reason: "lost",
    }),
    refuses: { code: "FailedPrecondition", reason: "STOCK_OUT_OF_BOUNDS" },
  },
  {
    method: InventoryService.method.adjustStock,
    as: "admin",
    says: "refuses an adjustment of nothing for no reason",
    request: ({ product }) => ({ productId: product.productId }),
    refuses: invalid("on_hand_delta", "reason"),
  },
  {
    method: InventoryService.method.listStockMovements,
    as: "admin",
    says: "tells where a product's stock came from",
    request: async (world) => ({ productId: (await world.newProduct()).productId }),
    answers: ({ ids }) => ({
      movements: [
        { sequence: 1, kind: "STOCK_MOVEMENT_KIND_RECEIVED", onHandDelta: expect.any(Number), actor: ids.admin, time },
      ],
    }),
  },
  {
    method: InventoryService.method.listStockMovements,
    as: "admin",
    says: "does not find an unknown product",
    request: () => ({ productId: unknown("product") }),
    refuses: notFound("PRODUCT_NOT_FOUND"),
  },
];

const watches: readonly Row[] = [
  {
    method: InventoryService.method.watchStock,
    as: "nobody",
    says: "begins with the stock as it is",
    request: ({ product }) => ({ productId: product.productId }),
    answers: ({ product: { productId } }) => ({ stock: { productId, onHand: 10, available: 10, sequence: 1 } }),
  },
  {
    method: InventoryService.method.watchStock,
    as: "forger",
    says: "begins with a sign of life where nothing has moved since, and tokens do not matter here",
    request: ({ product }) => ({ productId: product.productId, afterSequence: 1 }),
    answers: () => ({}),
  },
  {
    method: InventoryService.method.watchStock,
    as: "nobody",
    says: "does not find an unknown product",
    request: () => ({ productId: unknown("product") }),
    refuses: notFound("PRODUCT_NOT_FOUND"),
  },
  {
    method: InventoryService.method.watchStock,
    as: "nobody",
    says: "refuses what is no sequence",
    request: ({ product }) => ({ productId: product.productId, afterSequence: -1 }),
    refuses: invalid("after_sequence"),
  },
  ...(["owner", "admin"] as const).map(
    (as): Row => ({
      method: OrderService.method.watchOrder,
      as,
      says: "begins with the order as it is, and the move that brought it there",
      request: ({ order }) => ({ orderId: order.orderId }),
      answers: ({ order }) => ({
        order,
        event: {
          version: 2,
          status: "ORDER_STATUS_CONFIRMED",
          time,
          actor: "inventory",
          traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
        },
      }),
    }),
  ),
  {
    method: OrderService.method.watchOrder,
    as: "owner",
    says: "begins with a sign of life where nothing has happened since",
    request: ({ order }) => ({ orderId: order.orderId, afterVersion: 2 }),
    answers: () => ({}),
  },
  {
    method: OrderService.method.watchOrder,
    as: "customer",
    says: "does not see somebody else's order",
    request: ({ order }) => ({ orderId: order.orderId }),
    refuses: notFound("ORDER_NOT_FOUND"),
  },
  {
    method: OrderService.method.watchOrder,
    as: "owner",
    says: "refuses what is no version",
    request: ({ order }) => ({ orderId: order.orderId, afterVersion: -1 }),
    refuses: invalid("after_version"),
  },
];

const orders: readonly Row[] = [
  ...(["customer", "admin"] as const).map(
    (as): Row => ({
      method: OrderService.method.createOrder,
      as,
      says: "takes an order at the catalogue's price, in the caller's name",
      request: ({ plenty }) => ({
        items: [
          { productId: plenty.productId, quantity: 1 },
          { productId: plenty.productId, quantity: 2 },
        ],
      }),
      answers: ({ ids, plenty }) => ({
        order: {
          orderId: idOf("order"),
          userId: ids[as],
          status: "ORDER_STATUS_PENDING",
          version: 1,
          items: [{ productId: plenty.productId, name: plenty.name, quantity: 3, unitPrice: euros }],
          total: { currencyCode: "EUR", minorUnits: "3750" },
          createTime: time,
          updateTime: time,
        },
      }),
    }),
  ),
  {
    method: OrderService.method.createOrder,
    as: "customer",
    says: "refuses unknown products at once, and says which",
    request: ({ plenty }) => ({
      items: [
        { productId: plenty.productId, quantity: 1 },
        { productId: unknown("product"), quantity: 1 },
      ],
    }),
    refuses: { code: "InvalidArgument", reason: "PRODUCT_UNKNOWN", violations: ["items[1].product_id"] },
  },
  {
    method: OrderService.method.createOrder,
    as: "customer",
    says: "refuses quantities that nobody can buy",
    request: ({ plenty }) => ({
      items: [0, -5, 1_000_001, 2 ** 31 - 1].map((quantity) => ({ productId: plenty.productId, quantity })),
    }),
    refuses: invalid("items[0].quantity", "items[1].quantity", "items[2].quantity", "items[3].quantity"),
  },
  {
    method: OrderService.method.createOrder,
    as: "customer",
    says: "refuses an order of nothing",
    request: () => ({}),
    refuses: invalid("items"),
  },
  ...(["owner", "admin"] as const).map(
    (as): Row => ({
      method: OrderService.method.getOrderByID,
      as,
      says: "reads the owner's order",
      request: ({ order }) => ({ orderId: order.orderId }),
      answers: ({ order }) => ({ order }),
    }),
  ),
  {
    method: OrderService.method.getOrderByID,
    as: "customer",
    says: "does not see somebody else's order",
    request: ({ order }) => ({ orderId: order.orderId }),
    refuses: notFound("ORDER_NOT_FOUND"),
  },
  {
    method: OrderService.method.getOrderByID,
    as: "owner",
    says: "does not find an unknown order",
    request: () => ({ orderId: unknown("order") }),
    refuses: notFound("ORDER_NOT_FOUND"),
  },
  {
    method: OrderService.method.getOrderByID,
    as: "owner",
    says: "refuses what is not an id",
    request: () => ({ orderId: "1" }),
    refuses: invalid("order_id"),
  },
  {
    method: OrderService.method.updateOrderStatus,
    as: "admin",
    says: "ships a confirmed order",
    request: async (world) => ({
      orderId: (await world.newConfirmedOrder()).orderId,
      status: "ORDER_STATUS_SHIPPED",
    }),
    answers: ({ ids, plenty }, { orderId }) => ({
      order: {
        orderId: orderId!,
        userId: ids.customer,
        status: "ORDER_STATUS_SHIPPED",
        version: 3,
        items: [{ productId: plenty.productId, name: plenty.name, quantity: 1, unitPrice: euros }],
        total: euros,
        createTime: time,
        updateTime: time,
      },
    }),
  },
  {
    method: OrderService.method.updateOrderStatus,
    as: "admin",
    says: "refuses to call off without a word",
    request: ({ order }) => ({ orderId: order.orderId, status: "ORDER_STATUS_CANCELLED", reason: " " }),
    refuses: { code: "InvalidArgument", reason: "CANCEL_REASON_REQUIRED", violations: ["reason"] },
  },
  {
    method: OrderService.method.updateOrderStatus,
    as: "admin",
    says: "refuses a move that the table does not allow",
    request: ({ order }) => ({ orderId: order.orderId, status: "ORDER_STATUS_DELIVERED" }),
    refuses: { code: "FailedPrecondition", reason: "ORDER_MOVE_REFUSED" },
  },
  {
    method: OrderService.method.updateOrderStatus,
    as: "admin",
    says: "does not find an unknown order",
    request: () => ({ orderId: unknown("order"), status: "ORDER_STATUS_SHIPPED" }),
    refuses: notFound("ORDER_NOT_FOUND"),
  },
  {
    method: OrderService.method.updateOrderStatus,
    as: "admin",
    says: "refuses a status that is none",
    request: ({ order }) => ({ orderId: order.orderId, status: "ORDER_STATUS_UNSPECIFIED" }),
    refuses: invalid("status"),
  },
  {
    method: OrderService.method.createOrder,
    as: "customer",
    says: "refuses a total that is not what it costs",
    request: ({ plenty }) => ({
      items: [{ productId: plenty.productId, quantity: 1 }],
      expectedTotal: { currencyCode: "EUR", minorUnits: "1" },
    }),
    refuses: { code: "FailedPrecondition", reason: "ORDER_TOTAL_MOVED" },
  },
  ...(["customer", "admin"] as const).map(
    (as): Row => ({
      method: OrderService.method.cancelOrder,
      as,
      says: "calls an order off",
      request: async (world) => ({ orderId: (await world.newConfirmedOrder()).orderId, reason: "changed my mind" }),
      answers: ({ ids, plenty }, { orderId }) => ({
        order: {
          orderId: orderId!,
          userId: ids.customer,
          status: "ORDER_STATUS_CANCELLED",
          statusReason: "changed my mind",
          version: 3,
          items: [{ productId: plenty.productId, name: plenty.name, quantity: 1, unitPrice: euros }],
          total: euros,
          createTime: time,
          updateTime: time,
        },
      }),
    }),
  ),
  {
    method: OrderService.method.cancelOrder,
    as: "admin",
    says: "wants to know why somebody else's order is called off",
    request: ({ order }) => ({ orderId: order.orderId }),
    refuses: { code: "InvalidArgument", reason: "CANCEL_REASON_REQUIRED", violations: ["reason"] },
  },
  {
    method: OrderService.method.cancelOrder,
    as: "customer",
    says: "does not see somebody else's order",
    request: ({ order }) => ({ orderId: order.orderId }),
    refuses: notFound("ORDER_NOT_FOUND"),
  },
  ...(["owner", "admin"] as const).map(
    (as): Row => ({
      method: OrderService.method.listOrderEvents,
      as,
      says: "tells what happened to the owner's order",
      request: ({ order }) => ({ orderId: order.orderId }),
      answers: ({ ids }) => ({
        events: [
          {
            version: 1,
            status: "ORDER_STATUS_PENDING",
            time,
            actor: ids.owner,
            traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
          },
          {
            version: 2,
            status: "ORDER_STATUS_CONFIRMED",
            time,
            actor: "inventory",
            traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
          },
        ],
      }),
    }),
  ),
  {
    method: OrderService.method.listOrderEvents,
    as: "customer",
    says: "does not see somebody else's order",
    request: ({ order }) => ({ orderId: order.orderId }),
    refuses: notFound("ORDER_NOT_FOUND"),
  },
  {
    method: OrderService.method.listOrders,
    as: "admin",
    says: "lists one user's orders that are in one state",
    request: ({ ids }) => ({ userId: ids.owner, status: "ORDER_STATUS_CONFIRMED" }),
    answers: ({ order }) => ({ orders: [order] }),
  },
  {
    method: OrderService.method.listOrders,
    as: "admin",
    says: "lists none where there is none",
    request: ({ ids }) => ({ userId: ids.owner, status: "ORDER_STATUS_RETURNED" }),
    answers: () => ({}),
  },
  {
    method: OrderService.method.listOrders,
    as: "admin",
    says: "refuses what is not a user's id",
    request: () => ({ userId: "me" }),
    refuses: invalid("user_id"),
  },
  {
    method: OrderService.method.getOrdersByUser,
    as: "owner",
    says: "lists the caller's orders of a time",
    request: () => ({ createTimeFrom: "2020-01-01T00:00:00Z", createTimeBefore: "2020-01-02T00:00:00Z" }),
    answers: () => ({}),
  },
  {
    method: OrderService.method.getOrdersByUser,
    as: "owner",
    says: "lists the caller's own orders and nobody else's",
    request: () => ({}),
    answers: ({ order }) => ({ orders: [order] }),
  },
  {
    method: OrderService.method.getOrdersByUser,
    as: "owner",
    says: "refuses a page that is too large",
    request: () => ({ pageSize: 101 }),
    refuses: invalid("page_size"),
  },
  {
    method: OrderService.method.getOrdersByUser,
    as: "owner",
    says: "refuses a page token that was not made here",
    request: () => ({ pageToken: "AAAA" }),
    refuses: invalid("page_token"),
  },
];

const noLetter = "999999999999999";

const deadLetters: readonly Row[] = [
  {
    method: DeadLetterService.method.listDeadLetters,
    as: "admin",
    says: "lists those of one consumer",
    request: async (world) => {
      const consumer = unique("row");
      await world.newDeadLetter(consumer);
      return { consumer };
    },
    answers: (_, { consumer }) => ({
      deadLetters: [
        {
          deadLetterId: expect.stringMatching(/^[1-9]\d*$/),
          consumer: consumer!,
          reason: "Error: planted",
          eventId: expect.any(String),
          eventType: "shop.inventory.v1.StockReserved",
          createTime: time,
        },
      ],
    }),
  },
  {
    method: DeadLetterService.method.getDeadLetter,
    as: "admin",
    says: "shows the event",
    request: async (world) => ({ deadLetterId: (await world.newDeadLetter("nobody-knows")).deadLetterId }),
    answers: (_, { deadLetterId }) => ({
      deadLetter: {
        deadLetterId: deadLetterId!,
        consumer: "nobody-knows",
        reason: "Error: planted",
        eventId: expect.any(String),
        eventType: "shop.inventory.v1.StockReserved",
        createTime: time,
        payload: expect.stringMatching(/^[\w+/]+=*$/),
        event: { orderId: unknown("order") },
      },
    }),
  },
  {
    method: DeadLetterService.method.redriveDeadLetter,
    as: "admin",
    says: "delivers it again",
    request: async (world) => ({ deadLetterId: (await world.newDeadLetter("orders-stock-reserved")).deadLetterId }),
    answers: () => ({}),
  },
  {
    method: DeadLetterService.method.redriveDeadLetter,
    as: "admin",
    says: "refuses what nobody would hear",
    request: async (world) => ({ deadLetterId: (await world.newDeadLetter("nobody-knows")).deadLetterId }),
    refuses: { code: "FailedPrecondition", reason: "DEAD_LETTER_UNHEARD" },
  },
  {
    method: DeadLetterService.method.deleteDeadLetter,
    as: "admin",
    says: "throws it away",
    request: async (world) => ({ deadLetterId: (await world.newDeadLetter("nobody-knows")).deadLetterId }),
    answers: () => ({}),
  },
  ...(["getDeadLetter", "redriveDeadLetter", "deleteDeadLetter"] as const).map(
    (name): Row => ({
      method: DeadLetterService.method[name],
      as: "admin",
      says: "does not find what is gone",
      request: () => ({ deadLetterId: noLetter }),
      refuses: notFound("DEAD_LETTER_NOT_FOUND"),
    }),
  ),
];

/** Of a shop that is sound, however much of it there is. */
const soundPart = expect.toSatisfy((part: JsonObject) => "checked" in part && !("findings" in part));

/** Of an order that nobody placed: it is refused, so nothing of it is left but the refusal. */
const notPlaced = "order_01h455vb4pex5vsknk084sn03r";

const audits: readonly Row[] = [
  {
    method: InventoryService.method.batchGetReservations,
    as: "platform",
    says: "tells what was set aside",
    request: ({ order }) => ({ orderIds: [order.orderId, unknown("order")] }),
    answers: ({ order, plenty }) => ({
      reservations: [
        {
          orderId: order.orderId,
          outcome: "RESERVATION_OUTCOME_RESERVED",
          lines: [{ productId: plenty.productId, quantity: 1 }],
        },
      ],
    }),
  },
  {
    method: InventoryService.method.decideOrders,
    as: "platform",
    says: "tells what was decided before, and decides the rest",
    request: ({ order, plenty }) => ({
      orders: [
        { orderId: order.orderId, lines: [{ productId: plenty.productId, quantity: 1 }] },
        { orderId: notPlaced, lines: [{ productId: unknown("product"), quantity: 1 }] },
      ],
    }),
    answers: ({ order }) => ({
      decisions: [
        { orderId: order.orderId, outcome: "RESERVATION_OUTCOME_RESERVED" },
        {
          orderId: notPlaced,
          outcome: "RESERVATION_OUTCOME_REFUSED",
          reason: "a product of this order is no longer sold",
        },
      ],
    }),
  },
  {
    method: InventoryService.method.listReservations,
    as: "platform",
    says: "lists the orders that stock was set aside for",
    request: () => ({}),
    answers: () => expect.toSatisfy((page: JsonObject) => "orderIds" in page || "nextPageToken" in page),
  },
  {
    method: InventoryService.method.listReservations,
    as: "platform",
    says: "refuses a page token that was not made here",
    request: () => ({ pageToken: "none" }),
    refuses: invalid("page_token"),
  },
  ...([InventoryService.method.auditStock, OrderService.method.auditOrders] as const).flatMap((method): Row[] => [
    { method, as: "admin", says: "finds nothing broken", request: () => ({}), answers: () => soundPart },
    {
      method,
      as: "admin",
      says: "refuses a page token that was not made here",
      request: () => ({ pageToken: "none" }),
      refuses: invalid("page_token"),
    },
  ]),
  {
    method: InventoryService.method.repairStock,
    as: "admin",
    says: "leaves alone what is sound",
    request: ({ product }) => ({ targets: [{ invariant: "STOCK_BALANCE_WRONG", subject: product.productId }] }),
    answers: (_, { targets }) => ({
      repairs: [{ target: (targets as JsonObject[])[0]!, outcome: "REPAIR_OUTCOME_SOUND" }],
    }),
  },
  {
    method: OrderService.method.repairOrders,
    as: "admin",
    says: "leaves alone what is sound",
    request: ({ order }) => ({
      targets: [{ invariant: "ORDER_RESERVATION_OPEN", subject: order.orderId }],
      dryRun: true,
    }),
    answers: (_, { targets }) => ({
      repairs: [{ target: (targets as JsonObject[])[0]!, outcome: "REPAIR_OUTCOME_SOUND" }],
    }),
  },
  ...([InventoryService.method.repairStock, OrderService.method.repairOrders] as const).map(
    (method): Row => ({
      method,
      as: "admin",
      says: "refuses what is no invariant of its own",
      request: ({ order }) => ({ targets: [{ invariant: "ANYTHING", subject: order.orderId }] }),
      refuses: invalid("targets[0].invariant"),
    }),
  ),
];

export const rows: readonly Row[] = [
  ...users,
  ...sessions,
  ...accounts,
  ...inventory,
  ...stock,
  ...watches,
  ...orders,
  ...deadLetters,
  ...audits,
];

/** A row as a sentence. */
export function titleOf({ method, as, says }: Row): string {
  return `${nameOf(method).replace(/^.*\./, "")} as ${as} ${says}`;
}
