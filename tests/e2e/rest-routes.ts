import type { JsonObject } from "@bufbuild/protobuf";

/** A REST request, and the field of the method's response message that its answer is (the whole message if absent). */
export interface RestCall {
  readonly verb: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: JsonObject;
  readonly body?: JsonObject;
  readonly answers?: string;
}

/**
 * How each method is called over REST, as its documentation says: written by hand, so that the schema's annotations are
 * checked against it. Each takes the request message as JSON with proto field names.
 */
export const restCalls: Readonly<Record<string, (request: JsonObject) => RestCall>> = {
  "shop.users.v1.UserService/Register": (body) => ({ verb: "POST", path: "/register", body }),
  "shop.users.v1.UserService/Authenticate": (body) => ({ verb: "POST", path: "/authenticate", body }),
  "shop.users.v1.UserService/RefreshToken": (body) => ({ verb: "POST", path: "/sessions:refresh", body }),
  "shop.users.v1.UserService/CreateStreamTicket": (body) => ({
    verb: "POST",
    path: "/sessions:createStreamTicket",
    body,
  }),
  "shop.users.v1.UserService/SignOut": (body) => ({ verb: "POST", path: "/sessions:signOut", body }),
  "shop.users.v1.UserService/SignOutEverywhere": ({ user_id, ...body }) => ({
    verb: "POST",
    path: `/profile/${user_id}:signOutEverywhere`,
    body,
  }),
  "shop.users.v1.UserService/ListSessions": (query) => ({ verb: "GET", path: "/sessions", query }),
  "shop.users.v1.UserService/GetUserProfile": ({ user_id }) => ({
    verb: "GET",
    path: `/profile/${user_id}`,
    answers: "profile",
  }),
  // No mask: the fields that are present change.
  "shop.users.v1.UserService/UpdateUserProfile": ({ profile }) => {
    const { user_id, ...body } = profile as JsonObject;
    return { verb: "PATCH", path: `/profile/${user_id}`, body, answers: "profile" };
  },
  "shop.users.v1.UserService/ChangePassword": (body) => ({ verb: "POST", path: "/profile:changePassword", body }),
  "shop.users.v1.UserService/DeleteAccount": (body) => ({ verb: "POST", path: "/profile:delete", body }),
  "shop.users.v1.UserService/ListUsers": (query) => ({ verb: "GET", path: "/admin/users", query }),
  "shop.users.v1.UserService/SetRoles": ({ user_id, ...body }) => ({
    verb: "POST",
    path: `/admin/users/${user_id}:setRoles`,
    body,
    answers: "profile",
  }),
  "shop.users.v1.UserService/DisableUser": ({ user_id, ...body }) => ({
    verb: "POST",
    path: `/admin/users/${user_id}:disable`,
    body,
    answers: "profile",
  }),
  "shop.users.v1.UserService/EnableUser": ({ user_id, ...body }) => ({
    verb: "POST",
    path: `/admin/users/${user_id}:enable`,
    body,
    answers: "profile",
  }),
  "shop.users.v1.UserService/ResetPassword": (body) => ({
    verb: "POST",
    path: "/admin/users:resetPassword",
    body,
    answers: "profile",
  }),
  "shop.users.v1.UserService/ListSecurityEvents": (query) => ({ verb: "GET", path: "/admin/security-events", query }),
  "shop.common.v1.TokenKeyService/ListTokenKeys": () => ({ verb: "GET", path: "/.well-known/jwks.json" }),
  "shop.inventory.v1.InventoryService/CreateProduct": ({ product, ...query }) => ({
    verb: "POST",
    path: "/products",
    query,
    body: (product ?? {}) as JsonObject,
    answers: "product",
  }),
  "shop.inventory.v1.InventoryService/ListProducts": (query) => ({ verb: "GET", path: "/products", query }),
  "shop.inventory.v1.InventoryService/GetProductByID": ({ product_id }) => ({
    verb: "GET",
    path: `/products/${product_id}`,
    answers: "product",
  }),
  // No mask: the fields that are present change.
  "shop.inventory.v1.InventoryService/UpdateProduct": ({ product }) => {
    const { product_id, ...body } = product as JsonObject;
    return { verb: "PATCH", path: `/products/${product_id}`, body, answers: "product" };
  },
  "shop.inventory.v1.InventoryService/DeleteProduct": ({ product_id, ...query }) => ({
    verb: "DELETE",
    path: `/products/${product_id}`,
    query,
  }),
  "shop.inventory.v1.InventoryService/UndeleteProduct": ({ product_id, ...body }) => ({
    verb: "POST",
    path: `/products/${product_id}:undelete`,
    body,
    answers: "product",
  }),
  "shop.inventory.v1.InventoryService/BatchGetProducts": (query) => ({
    verb: "GET",
    path: "/products:batchGet",
    query,
  }),
  "shop.orders.v1.OrderService/CreateOrder": (body) => ({ verb: "POST", path: "/orders", body, answers: "order" }),
  "shop.orders.v1.OrderService/GetOrderByID": ({ order_id }) => ({
    verb: "GET",
    path: `/orders/${order_id}`,
    answers: "order",
  }),
  "shop.orders.v1.OrderService/UpdateOrderStatus": ({ order_id, ...body }) => ({
    verb: "PATCH",
    path: `/orders/${order_id}`,
    body,
    answers: "order",
  }),
  "shop.inventory.v1.InventoryService/AdjustStock": ({ product_id, ...body }) => ({
    verb: "POST",
    path: `/products/${product_id}:adjustStock`,
    body,
    answers: "stock",
  }),
  "shop.inventory.v1.InventoryService/ListStockMovements": ({ product_id, ...query }) => ({
    verb: "GET",
    path: `/products/${product_id}/movements`,
    query,
  }),
  "shop.orders.v1.OrderService/CancelOrder": ({ order_id, ...body }) => ({
    verb: "POST",
    path: `/orders/${order_id}:cancel`,
    body,
    answers: "order",
  }),
  "shop.orders.v1.OrderService/ListOrderEvents": ({ order_id }) => ({
    verb: "GET",
    path: `/orders/${order_id}/events`,
  }),
  "shop.orders.v1.OrderService/WatchOrder": ({ order_id, ...query }) => ({
    verb: "GET",
    path: `/orders/${order_id}:watch`,
    query,
  }),
  "shop.inventory.v1.InventoryService/WatchStock": ({ product_id, ...query }) => ({
    verb: "GET",
    path: `/products/${product_id}:watchStock`,
    query,
  }),
  "shop.orders.v1.OrderService/ListOrders": (query) => ({ verb: "GET", path: "/admin/orders", query }),
  "shop.orders.v1.OrderService/GetOrdersByUser": (query) => ({ verb: "GET", path: "/orders", query }),
  "shop.inventory.v1.InventoryService/BatchGetReservations": (query) => ({
    verb: "GET",
    path: "/reservations:batchGet",
    query,
  }),
  "shop.inventory.v1.InventoryService/DecideOrders": (body) => ({ verb: "POST", path: "/reservations:decide", body }),
  "shop.inventory.v1.InventoryService/ListReservations": (query) => ({ verb: "GET", path: "/reservations", query }),
  "shop.inventory.v1.InventoryService/AuditStock": (query) => ({ verb: "GET", path: "/admin/stock:audit", query }),
  "shop.inventory.v1.InventoryService/RepairStock": (body) => ({ verb: "POST", path: "/admin/stock:repair", body }),
  "shop.orders.v1.OrderService/AuditOrders": (query) => ({ verb: "GET", path: "/admin/orders:audit", query }),
  "shop.orders.v1.OrderService/RepairOrders": (body) => ({ verb: "POST", path: "/admin/orders:repair", body }),
  "shop.common.v1.DeadLetterService/ListDeadLetters": (query) => ({ verb: "GET", path: "/admin/dead-letters", query }),
  "shop.common.v1.DeadLetterService/GetDeadLetter": ({ dead_letter_id }) => ({
    verb: "GET",
    path: `/admin/dead-letters/${dead_letter_id}`,
    answers: "dead_letter",
  }),
  "shop.common.v1.DeadLetterService/RedriveDeadLetter": ({ dead_letter_id, ...body }) => ({
    verb: "POST",
    path: `/admin/dead-letters/${dead_letter_id}:redrive`,
    body,
  }),
  "shop.common.v1.DeadLetterService/DeleteDeadLetter": ({ dead_letter_id }) => ({
    verb: "DELETE",
    path: `/admin/dead-letters/${dead_letter_id}`,
  }),
};

/** The query string of a REST call; lists repeat their name. */
export function queryString(query: JsonObject = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]),
  );
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}
