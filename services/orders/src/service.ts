import { createClient } from "@connectrpc/connect";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { StockRejectedSchema, StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { createOutbox, defineModule, ensureOutboxIndex, eventHandler, sweepLeaseMs } from "@shop/platform";
import { createCatalogue } from "./clients/catalogue.ts";
import { ordersConfig } from "./config.ts";
import { stockRejected } from "./events/stock-rejected.ts";
import { stockReserved } from "./events/stock-reserved.ts";
import { announcePendingOrders } from "./jobs/announce-pending-orders.ts";
import { cancelUndecidedOrders } from "./jobs/cancel-undecided-orders.ts";
import { cancelOrder } from "./rpc/cancel-order.ts";
import { createOrder } from "./rpc/create-order.ts";
import { getOrderByID } from "./rpc/get-order-by-id.ts";
import { getOrdersByUser } from "./rpc/get-orders-by-user.ts";
import { listOrderEvents } from "./rpc/list-order-events.ts";
import { listOrders } from "./rpc/list-orders.ts";
import { updateOrderStatus } from "./rpc/update-order-status.ts";
import { createOrderStore, openOrders } from "./store/order-store.ts";

/** Orders moved by one bulk write at most. */
const maxBatch = 256;

export const orders = defineModule({
  name: "orders",
  config: ordersConfig,
  implements: [OrderService],
  port: (config) => config.ORDERS_PORT,
  neighbours: (config) => [
    { service: TokenKeyService, urls: config.USERS_URL },
    { service: InventoryService, urls: config.INVENTORY_URL },
  ],
  emits: "shop.orders.v1",
  async start({ config, db, bus, clock, log, lease, pageTokens, transportTo }) {
    const documents = await openOrders(db);
    await ensureOutboxIndex(documents);
    const outbox = createOutbox(documents, bus, log);
    const store = createOrderStore(documents, outbox);
    const catalogue = createCatalogue(createClient(InventoryService, transportTo(InventoryService)));
    return {
      routes: (router) =>
        router.service(OrderService, {
          createOrder: createOrder({ orders: store, catalogue, clock }),
          getOrderByID: getOrderByID({ orders: store }),
          updateOrderStatus: updateOrderStatus({ orders: store, clock }),
          cancelOrder: cancelOrder({ orders: store, clock }),
          listOrderEvents: listOrderEvents({ orders: store }),
          getOrdersByUser: getOrdersByUser({ orders: store, pageTokens }),
          listOrders: listOrders({ orders: store, pageTokens }),
        }),
      handlers: [
        eventHandler({
          durable: "orders-stock-reserved",
          stream: "inventory",
          event: StockReservedSchema,
          maxBatch,
          handle: stockReserved({ orders: store, clock }),
        }),
        eventHandler({
          durable: "orders-stock-rejected",
          stream: "inventory",
          event: StockRejectedSchema,
          maxBatch,
          handle: stockRejected({ orders: store, clock }),
        }),
      ],
      jobs: [
        outbox.sweeper({ lease: lease("sweep-orders-outbox", sweepLeaseMs) }),
        {
          ...announcePendingOrders({ orders: store, repeat: outbox.publishNow, clock, log }),
          lease: lease("announce-pending-orders"),
        },
        {
          ...cancelUndecidedOrders({
            orders: store,
            clock,
            log,
            decisionDeadlineMs: config.ORDER_DECISION_SECONDS * 1000,
          }),
          lease: lease("cancel-undecided-orders"),
        },
      ],
      close: () => outbox.close(),
    };
  },
});
