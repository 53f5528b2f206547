import type { JsonObject } from "@bufbuild/protobuf";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { expect } from "vitest";
import { type Case, idOf, invalid, notFound, type ServiceContract, time, unknown } from "../../../tests/contract.ts";

/** Fixtures of the cases. */
export interface OrdersWorld {
  readonly ids: Readonly<Record<"owner" | "customer" | "admin", string>>;
  /** The owner's only order, CONFIRMED. */
  readonly order: JsonObject & { readonly orderId: string };
  /** A product of 12.50 EUR with plenty of stock. */
  readonly plenty: JsonObject & { readonly productId: string; readonly name: string };
  /** An order of another customer. */
  newConfirmedOrder(): Promise<JsonObject & { readonly orderId: string }>;
}
type World = OrdersWorld;

const euros = { currencyCode: "EUR", minorUnits: "1250" };

/** A part of an audit without findings. */
const soundPart = expect.toSatisfy((part: JsonObject) => "checked" in part && !("findings" in part));

/** The contract of each method of OrderService. */
export const contract: ServiceContract<typeof OrderService, World> = {
  service: OrderService,
  methods: {
    createOrder: {
      access: "AUTHENTICATED",
      rest: (body) => ({ verb: "POST", path: "/orders", body, answers: "order" }),
      invalid: { items: [] },
      cases: [
        ...(["customer", "admin"] as const).map(
          (as): Case<World> => ({
            as,
            says: "places an order at the catalogue's price for the caller",
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
          as: "customer",
          says: "refuses unknown products and names their lines",
          request: ({ plenty }) => ({
            items: [
              { productId: plenty.productId, quantity: 1 },
              { productId: unknown("product"), quantity: 1 },
            ],
          }),
          refuses: { code: "InvalidArgument", reason: "PRODUCT_UNKNOWN", violations: ["items[1].product_id"] },
        },
        {
          as: "customer",
          says: "refuses quantities outside of the limits",
          request: ({ plenty }) => ({
            items: [0, -5, 1_000_001, 2 ** 31 - 1].map((quantity) => ({ productId: plenty.productId, quantity })),
          }),
          refuses: invalid("items[0].quantity", "items[1].quantity", "items[2].quantity", "items[3].quantity"),
        },
        {
          as: "customer",
          says: "refuses an order without items",
          request: () => ({}),
          refuses: invalid("items"),
        },
        {
          as: "customer",
          says: "refuses an expected total that is not the price",
          request: ({ plenty }) => ({
            items: [{ productId: plenty.productId, quantity: 1 }],
            expectedTotal: { currencyCode: "EUR", minorUnits: "1" },
          }),
          refuses: { code: "FailedPrecondition", reason: "ORDER_TOTAL_MOVED" },
        },
      ],
      examples: [
        {
          step: 270,
          name: "buys-two",
          summary: "Two teapots at the price that the customer was shown",
          as: "shopper",
          request: {
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                quantity: 2,
              },
            ],
            request_id: "basket-1",
            expected_total: {
              currency_code: "EUR",
              minor_units: "2398",
            },
          },
          answer: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            status: "ORDER_STATUS_PENDING",
            status_reason: "",
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                quantity: 2,
                unit_price: {
                  currency_code: "EUR",
                  minor_units: "1199",
                },
              },
            ],
            total: {
              currency_code: "EUR",
              minor_units: "2398",
            },
            create_time: "2026-11-23T08:12:16.433Z",
            update_time: "2026-11-23T08:12:16.433Z",
            version: 1,
          },
        },
        {
          step: 280,
          name: "not-signed-in",
          summary: "A caller who is not signed in",
          request: {
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                quantity: 1,
              },
            ],
          },
          status: 401,
          answer: {
            code: 16,
            message: "send an access token: Authorization: Bearer ...",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "ACCESS_TOKEN_MISSING",
                domain: "shop.orders.v1",
              },
            ],
          },
        },
        {
          step: 290,
          name: "unknown-product",
          summary: "A product that is not in the catalogue",
          as: "shopper",
          request: {
            items: [
              {
                product_id: "product_01h455vb4pex5vsknk084sn02q",
                quantity: 1,
              },
            ],
          },
          status: 400,
          answer: {
            code: 3,
            message: "the order names products that are not in the catalogue",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "PRODUCT_UNKNOWN",
                domain: "shop.orders.v1",
              },
              {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                field_violations: [
                  {
                    field: "items[0].product_id",
                    description: "is not in the catalogue",
                  },
                ],
              },
            ],
          },
        },
        {
          step: 390,
          name: "buys-one",
          summary: "One teapot at any price",
          as: "shopper",
          request: {
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                quantity: 1,
              },
            ],
          },
          answer: {
            order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            status: "ORDER_STATUS_PENDING",
            status_reason: "",
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                quantity: 1,
                unit_price: {
                  currency_code: "EUR",
                  minor_units: "1199",
                },
              },
            ],
            total: {
              currency_code: "EUR",
              minor_units: "1199",
            },
            create_time: "2026-11-23T08:12:16.703Z",
            update_time: "2026-11-23T08:12:16.703Z",
            version: 1,
          },
        },
      ],
    },
    getOrderByID: {
      access: "AUTHENTICATED",
      rest: ({ order_id }) => ({
        verb: "GET",
        path: `/orders/${order_id}`,
        answers: "order",
      }),
      invalid: { orderId: "none" },
      cases: [
        ...(["owner", "admin"] as const).map(
          (as): Case<World> => ({
            as,
            says: "reads the owner's order",
            request: ({ order }) => ({ orderId: order.orderId }),
            answers: ({ order }) => ({ order }),
          }),
        ),
        {
          as: "customer",
          says: "does not find another user's order",
          request: ({ order }) => ({ orderId: order.orderId }),
          refuses: notFound("ORDER_NOT_FOUND"),
        },
        {
          as: "owner",
          says: "does not find an unknown order",
          request: () => ({ orderId: unknown("order") }),
          refuses: notFound("ORDER_NOT_FOUND"),
        },
        {
          as: "owner",
          says: "refuses a malformed id",
          request: () => ({ orderId: "1" }),
          refuses: invalid("order_id"),
        },
      ],
      examples: [
        {
          step: 300,
          name: "confirmed-order",
          summary: "An order whose stock is reserved",
          as: "shopper",
          request: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
          },
          answer: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            status: "ORDER_STATUS_CONFIRMED",
            status_reason: "",
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                quantity: 2,
                unit_price: {
                  currency_code: "EUR",
                  minor_units: "1199",
                },
              },
            ],
            total: {
              currency_code: "EUR",
              minor_units: "2398",
            },
            create_time: "2026-11-23T08:12:16.433Z",
            update_time: "2026-11-23T08:12:16.504Z",
            version: 2,
          },
        },
        {
          step: 310,
          name: "no-such-order",
          summary: "An id that no order of the caller's has",
          as: "shopper",
          request: {
            order_id: "order_01h455vb4pex5vsknk084sn02q",
          },
          status: 404,
          answer: {
            code: 5,
            message: "there is no such order",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "ORDER_NOT_FOUND",
                domain: "shop.orders.v1",
                metadata: {
                  order_id: "order_01h455vb4pex5vsknk084sn02q",
                },
              },
            ],
          },
        },
        {
          step: 400,
          name: "another-confirmed-order",
          summary: "Another order",
          as: "shopper",
          request: {
            order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
          },
          answer: {
            order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            status: "ORDER_STATUS_CONFIRMED",
            status_reason: "",
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                quantity: 1,
                unit_price: {
                  currency_code: "EUR",
                  minor_units: "1199",
                },
              },
            ],
            total: {
              currency_code: "EUR",
              minor_units: "1199",
            },
            create_time: "2026-11-23T08:12:16.703Z",
            update_time: "2026-11-23T08:12:16.742Z",
            version: 2,
          },
        },
      ],
    },
    updateOrderStatus: {
      access: "ADMIN",
      rest: ({ order_id, ...body }) => ({
        verb: "PATCH",
        path: `/orders/${order_id}`,
        body,
        answers: "order",
      }),
      invalid: { orderId: "none" },
      cases: [
        {
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
          as: "admin",
          says: "refuses a cancellation without a reason",
          request: ({ order }) => ({ orderId: order.orderId, status: "ORDER_STATUS_CANCELLED", reason: " " }),
          refuses: { code: "InvalidArgument", reason: "CANCEL_REASON_REQUIRED", violations: ["reason"] },
        },
        {
          as: "admin",
          says: "refuses a transition that the table does not allow",
          request: ({ order }) => ({ orderId: order.orderId, status: "ORDER_STATUS_DELIVERED" }),
          refuses: { code: "FailedPrecondition", reason: "ORDER_MOVE_REFUSED" },
        },
        {
          as: "admin",
          says: "does not find an unknown order",
          request: () => ({ orderId: unknown("order"), status: "ORDER_STATUS_SHIPPED" }),
          refuses: notFound("ORDER_NOT_FOUND"),
        },
        {
          as: "admin",
          says: "refuses an unknown status",
          request: ({ order }) => ({ orderId: order.orderId, status: "ORDER_STATUS_UNSPECIFIED" }),
          refuses: invalid("status"),
        },
      ],
      examples: [
        {
          step: 380,
          name: "too-late-to-ship",
          summary: "A cancelled order can't be shipped",
          as: "admin",
          request: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
            status: "ORDER_STATUS_SHIPPED",
          },
          status: 400,
          answer: {
            code: 9,
            message: "an order that is cancelled can't become shipped this way",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "ORDER_MOVE_REFUSED",
                domain: "shop.orders.v1",
                metadata: {
                  order_id: "order_01m83qd05hf20br2q89kxs66bw",
                  from: "cancelled",
                  to: "shipped",
                },
              },
            ],
          },
        },
        {
          step: 410,
          name: "ships",
          summary: "The order was shipped",
          as: "admin",
          request: {
            order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
            status: "ORDER_STATUS_SHIPPED",
            reason: "Handed to the carrier",
          },
          answer: {
            order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            status: "ORDER_STATUS_SHIPPED",
            status_reason: "Handed to the carrier",
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                quantity: 1,
                unit_price: {
                  currency_code: "EUR",
                  minor_units: "1199",
                },
              },
            ],
            total: {
              currency_code: "EUR",
              minor_units: "1199",
            },
            create_time: "2026-11-23T08:12:16.703Z",
            update_time: "2026-11-23T08:12:16.800Z",
            version: 3,
          },
        },
      ],
    },
    cancelOrder: {
      access: "AUTHENTICATED",
      rest: ({ order_id, ...body }) => ({
        verb: "POST",
        path: `/orders/${order_id}:cancel`,
        body,
        answers: "order",
      }),
      invalid: { orderId: "none" },
      cases: [
        ...(["customer", "admin"] as const).map(
          (as): Case<World> => ({
            as,
            says: "cancels an order",
            request: async (world) => ({
              orderId: (await world.newConfirmedOrder()).orderId,
              reason: "changed my mind",
            }),
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
          as: "admin",
          says: "requires a reason for cancelling another user's order",
          request: ({ order }) => ({ orderId: order.orderId }),
          refuses: { code: "InvalidArgument", reason: "CANCEL_REASON_REQUIRED", violations: ["reason"] },
        },
        {
          as: "customer",
          says: "does not find another user's order",
          request: ({ order }) => ({ orderId: order.orderId }),
          refuses: notFound("ORDER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 370,
          name: "cancels-order",
          summary: "The customer changed their mind",
          as: "shopper",
          request: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
            reason: "Changed my mind",
          },
          answer: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            status: "ORDER_STATUS_CANCELLED",
            status_reason: "Changed my mind",
            items: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                quantity: 2,
                unit_price: {
                  currency_code: "EUR",
                  minor_units: "1199",
                },
              },
            ],
            total: {
              currency_code: "EUR",
              minor_units: "2398",
            },
            create_time: "2026-11-23T08:12:16.433Z",
            update_time: "2026-11-23T08:12:16.632Z",
            version: 3,
          },
        },
        {
          step: 420,
          name: "shipped-already",
          summary: "The order is shipped already",
          as: "shopper",
          request: {
            order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
          },
          status: 400,
          answer: {
            code: 9,
            message: "an order that is shipped can't become cancelled this way",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "ORDER_MOVE_REFUSED",
                domain: "shop.orders.v1",
                metadata: {
                  order_id: "order_01m83qd0dzf20br2r4z3xhf6kb",
                  from: "shipped",
                  to: "cancelled",
                },
              },
            ],
          },
        },
      ],
    },
    listOrderEvents: {
      access: "AUTHENTICATED",
      rest: ({ order_id }) => ({
        verb: "GET",
        path: `/orders/${order_id}/events`,
      }),
      invalid: { orderId: "none" },
      cases: [
        ...(["owner", "admin"] as const).map(
          (as): Case<World> => ({
            as,
            says: "lists the transitions of the owner's order",
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
          as: "customer",
          says: "does not find another user's order",
          request: ({ order }) => ({ orderId: order.orderId }),
          refuses: notFound("ORDER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 320,
          name: "lists-events",
          summary: "An order's transitions",
          as: "shopper",
          request: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
          },
          answer: {
            events: [
              {
                version: 1,
                status: "ORDER_STATUS_PENDING",
                time: "2026-11-23T08:12:16.433Z",
                actor: "user_01m83qcz4zf20br2m9x4wj6grk",
                reason: "",
                trace_id: "9012b1feb10e4d228288e58d8265b625",
              },
              {
                version: 2,
                status: "ORDER_STATUS_CONFIRMED",
                time: "2026-11-23T08:12:16.504Z",
                actor: "inventory",
                reason: "",
                trace_id: "9012b1feb10e4d228288e58d8265b625",
              },
            ],
          },
        },
      ],
    },
    watchOrder: {
      access: "AUTHENTICATED",
      rest: ({ order_id, ...query }) => ({
        verb: "GET",
        path: `/orders/${order_id}:watch`,
        query,
      }),
      invalid: { orderId: "none" },
      cases: [
        ...(["owner", "admin"] as const).map(
          (as): Case<World> => ({
            as,
            says: "begins with the current order and its last transition",
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
          as: "owner",
          says: "begins with a heartbeat when nothing has changed since",
          request: ({ order }) => ({ orderId: order.orderId, afterVersion: 2 }),
          answers: () => ({}),
        },
        {
          as: "customer",
          says: "does not find another user's order",
          request: ({ order }) => ({ orderId: order.orderId }),
          refuses: notFound("ORDER_NOT_FOUND"),
        },
        {
          as: "owner",
          says: "refuses an invalid version",
          request: ({ order }) => ({ orderId: order.orderId, afterVersion: -1 }),
          refuses: invalid("after_version"),
        },
      ],
      examples: [
        {
          step: 340,
          name: "current-order",
          summary: "Begins with the current order",
          as: "shopper",
          request: {
            order_id: "order_01m83qd05hf20br2q89kxs66bw",
          },
          answer: {
            order: {
              order_id: "order_01m83qd05hf20br2q89kxs66bw",
              user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
              status: "ORDER_STATUS_CONFIRMED",
              status_reason: "",
              items: [
                {
                  product_id: "product_01m83qczwyf20br2p6267wma1x",
                  name: "Teapot",
                  quantity: 2,
                  unit_price: {
                    currency_code: "EUR",
                    minor_units: "1199",
                  },
                },
              ],
              total: {
                currency_code: "EUR",
                minor_units: "2398",
              },
              create_time: "2026-11-23T08:12:16.433Z",
              update_time: "2026-11-23T08:12:16.504Z",
              version: 2,
            },
            event: {
              version: 2,
              status: "ORDER_STATUS_CONFIRMED",
              time: "2026-11-23T08:12:16.504Z",
              actor: "inventory",
              reason: "",
              trace_id: "9012b1feb10e4d228288e58d8265b625",
            },
          },
        },
      ],
    },
    getOrdersByUser: {
      access: "AUTHENTICATED",
      rest: (query) => ({ verb: "GET", path: "/orders", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "owner",
          says: "lists the caller's orders of a period",
          request: () => ({ createTimeFrom: "2020-01-01T00:00:00Z", createTimeBefore: "2020-01-02T00:00:00Z" }),
          answers: () => ({}),
        },
        {
          as: "owner",
          says: "lists only the caller's own orders",
          request: () => ({}),
          answers: ({ order }) => ({ orders: [order] }),
        },
        {
          as: "owner",
          says: "refuses a page that is too large",
          request: () => ({ pageSize: 101 }),
          refuses: invalid("page_size"),
        },
        {
          as: "owner",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "AAAA" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 350,
          name: "lists-own-orders",
          summary: "The caller's confirmed orders",
          as: "shopper",
          request: {
            page_size: 10,
            status: "ORDER_STATUS_CONFIRMED",
            create_time_from: "2020-01-01T00:00:00Z",
          },
          answer: {
            orders: [
              {
                order_id: "order_01m83qd05hf20br2q89kxs66bw",
                user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
                status: "ORDER_STATUS_CONFIRMED",
                status_reason: "",
                items: [
                  {
                    product_id: "product_01m83qczwyf20br2p6267wma1x",
                    name: "Teapot",
                    quantity: 2,
                    unit_price: {
                      currency_code: "EUR",
                      minor_units: "1199",
                    },
                  },
                ],
                total: {
                  currency_code: "EUR",
                  minor_units: "2398",
                },
                create_time: "2026-11-23T08:12:16.433Z",
                update_time: "2026-11-23T08:12:16.504Z",
                version: 2,
              },
            ],
            next_page_token: "",
          },
        },
      ],
    },
    listOrders: {
      access: "ADMIN",
      rest: (query) => ({ verb: "GET", path: "/admin/orders", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "admin",
          says: "lists one user's orders of one status",
          request: ({ ids }) => ({ userId: ids.owner, status: "ORDER_STATUS_CONFIRMED" }),
          answers: ({ order }) => ({ orders: [order] }),
        },
        {
          as: "admin",
          says: "lists nothing when no order has the status",
          request: ({ ids }) => ({ userId: ids.owner, status: "ORDER_STATUS_RETURNED" }),
          answers: () => ({}),
        },
        {
          as: "admin",
          says: "refuses a malformed user id",
          request: () => ({ userId: "me" }),
          refuses: invalid("user_id"),
        },
      ],
      examples: [
        {
          step: 360,
          name: "lists-a-users-orders",
          summary: "The orders of one user",
          as: "admin",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            page_size: 10,
          },
          answer: {
            orders: [
              {
                order_id: "order_01m83qd05hf20br2q89kxs66bw",
                user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
                status: "ORDER_STATUS_CONFIRMED",
                status_reason: "",
                items: [
                  {
                    product_id: "product_01m83qczwyf20br2p6267wma1x",
                    name: "Teapot",
                    quantity: 2,
                    unit_price: {
                      currency_code: "EUR",
                      minor_units: "1199",
                    },
                  },
                ],
                total: {
                  currency_code: "EUR",
                  minor_units: "2398",
                },
                create_time: "2026-11-23T08:12:16.433Z",
                update_time: "2026-11-23T08:12:16.504Z",
                version: 2,
              },
            ],
            next_page_token: "",
          },
        },
      ],
    },
    auditOrders: {
      access: "ADMIN",
      rest: (query) => ({ verb: "GET", path: "/admin/orders:audit", query }),
      invalid: { pageToken: "none" },
      cases: [
        { as: "admin", says: "finds no broken invariant", request: () => ({}), answers: () => soundPart },
        {
          as: "admin",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "none" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 450,
          name: "audits",
          summary: "Audits the orders",
          as: "admin",
          request: {},
          answer: {
            findings: [],
            checked: {
              orders: 2,
              reservations: 2,
            },
            next_page_token: "",
          },
        },
      ],
    },
    repairOrders: {
      access: "ADMIN",
      rest: (body) => ({ verb: "POST", path: "/admin/orders:repair", body }),
      invalid: {},
      cases: [
        {
          as: "admin",
          says: "leaves a sound order unchanged",
          request: ({ order }) => ({
            targets: [{ invariant: "ORDER_RESERVATION_OPEN", subject: order.orderId }],
            dryRun: true,
          }),
          answers: (_, { targets }) => ({
            repairs: [{ target: (targets as JsonObject[])[0]!, outcome: "REPAIR_OUTCOME_SOUND" }],
          }),
        },
        {
          as: "admin",
          says: "refuses an invariant of another service",
          request: ({ order }) => ({ targets: [{ invariant: "ANYTHING", subject: order.orderId }] }),
          refuses: invalid("targets[0].invariant"),
        },
      ],
      examples: [
        {
          step: 460,
          name: "nothing-to-repair",
          summary: "A sound order is left unchanged",
          as: "admin",
          request: {
            targets: [
              {
                invariant: "ORDER_STUCK_PENDING",
                subject: "order_01m83qd05hf20br2q89kxs66bw",
              },
            ],
            dry_run: true,
          },
          answer: {
            repairs: [
              {
                target: {
                  invariant: "ORDER_STUCK_PENDING",
                  subject: "order_01m83qd05hf20br2q89kxs66bw",
                },
                outcome: "REPAIR_OUTCOME_SOUND",
                action: "",
              },
            ],
          },
        },
      ],
    },
  },
};
