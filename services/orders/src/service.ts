import { createClient } from "@connectrpc/connect";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { StockRejectedSchema, StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserDeletedSchema } from "@shop/gen/shop/users/v1/events_pb";
import {
  createStreamRecovery,
  deadLetterService,
  eventHandler,
  openChangeNotices,
  openOutbox,
  outboxGauges,
} from "@shop/messaging";
import { auditGauges, auditJob, createAuditReports, createChanges, createWatches, defineModule } from "@shop/runtime";
import { consumerOf } from "@shop/topology";
import { allContracts } from "@shop/topology/contracts";
import { locate } from "@shop/topology/settings";
import { createCatalogue } from "./adapters/clients/catalogue.ts";
import { createReservations } from "./adapters/clients/reservations.ts";
import { createDecisionStore, openDecisions } from "./adapters/mongo/decision-store.ts";
import { createOrderAuditStore } from "./adapters/mongo/order-audit-store.ts";
import { createOrderStore, openOrders } from "./adapters/mongo/order-store.ts";
import { createRecentOrders } from "./adapters/mongo/recent-orders.ts";
import { createAdmission } from "./application/admission.ts";
import { createOpenQuantities } from "./application/open-quantities.ts";
import { createOrderAudit } from "./application/order-audit.ts";
import { recoverClosings } from "./application/recover-closings.ts";
import { createStockDecisions } from "./application/stock-decisions.ts";
import { ordersConfig } from "./config.ts";
import { stockRejected } from "./events/stock-rejected.ts";
import { stockReserved } from "./events/stock-reserved.ts";
import { userDeleted } from "./events/user-deleted.ts";
import { cancelUndecidedOrders } from "./jobs/cancel-undecided-orders.ts";
import { completeDecisions } from "./jobs/complete-decisions.ts";
import { reconcileDecisions } from "./jobs/reconcile-decisions.ts";
import { auditOrders } from "./rpc/audit-orders.ts";
import { cancelOrder } from "./rpc/cancel-order.ts";
import { createOrder } from "./rpc/create-order.ts";
import { getOrderByID } from "./rpc/get-order-by-id.ts";
import { getOrdersByUser } from "./rpc/get-orders-by-user.ts";
import { listOrderEvents } from "./rpc/list-order-events.ts";
import { listOrders } from "./rpc/list-orders.ts";
import { repairOrders } from "./rpc/repair-orders.ts";
import { updateOrderStatus } from "./rpc/update-order-status.ts";
import { watchOrder } from "./rpc/watch-order.ts";

/** Events, and so orders, of one bulk write. */
const maxBatch = 1_024;

const decisionTime = {
  name: "shop_order_decision_seconds",
  help: "Time from placing an order to its decision, or to its cancellation because it was not decided in time",
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
};

export const orders = defineModule({
  name: "orders",
  config: ordersConfig,
  implements: [OrderService, DeadLetterService],
  forwardedBy: ["gateway"],
  port: (config) => config.ORDERS_PORT,
  upstreams: (config) => locate(config, TokenKeyService, InventoryService),
  publishes: "shop.orders.v1",
  async start({
    config,
    db,
    bus,
    clock,
    log,
    histogram,
    lease,
    pageTokens,
    revocations,
    stopping,
    takeoverMs,
    transportTo,
  }) {
    const documents = await openOrders(db);
    const outbox = await openOutbox(documents, { label: "orders", bus, log });
    const notices = openChangeNotices(bus, "orders");
    const decisions = createDecisionStore(openDecisions(db), documents, notices.announce);
    const recent = createRecentOrders();
    const store = createOrderStore(documents, outbox, recent, notices.announce);
    const watch = createWatches({
      changes: createChanges({ notices, versionsOf: store.versionsOf, log }),
      revocations,
      max: config.ORDER_WATCHES_AT_ONCE,
      maxPerCaller: config.ORDER_WATCHES_PER_CALLER,
      maxPerNetwork: config.ORDER_WATCHES_PER_NETWORK,
      stopping,
    });
    const admission = createAdmission({
      orders: store,
      clock,
      maxBacklog: config.ORDER_BACKLOG,
      linesPerAccount: config.ORDER_LINES_PER_ACCOUNT,
      linesPerNetwork: config.ORDER_LINES_PER_NETWORK,
      log,
    });
    const openQuantities = createOpenQuantities({
      orders: store,
      limits: { perAccount: config.MAX_OPEN_UNITS_PER_ACCOUNT, perProduct: config.MAX_OPEN_UNITS_PER_PRODUCT },
    });
    const inventory = createClient(InventoryService, transportTo(InventoryService));
    const catalogue = createCatalogue(inventory);
    const reservations = createReservations(inventory);
    const decidedAfter = histogram(decisionTime);
    const stockDecisions = createStockDecisions({
      decisions,
      recent,
      publish: outbox.publishNow,
      decidedAfter,
      clock,
      log,
    });
    const decisionDeadlineMs = config.ORDER_DECISION_SECONDS * 1000;
    const audit = createOrderAudit({
      store: createOrderAuditStore(documents),
      reservations,
      upkeep: outbox.upkeep,
      decisions,
      clock,
      decisionDeadlineMs,
    });
    const reports = createAuditReports(db, audit.name);
    const recovery = createStreamRecovery({
      stream: "orders",
      db,
      bus,
      lease: lease("recover-stream-orders"),
      everyMs: config.AUDIT_INTERVAL_SECONDS * 1000,
      clock,
      log,
      recover: recoverClosings({ orders: store, reservations, repeat: outbox.publishNow, clock, log }),
    });
    return {
      routes(router) {
        router.service(OrderService, {
          createOrder: createOrder({ orders: store, catalogue, admission, openQuantities, clock }),
          getOrderByID: getOrderByID({ orders: store }),
          updateOrderStatus: updateOrderStatus({ orders: store, clock }),
          cancelOrder: cancelOrder({ orders: store, clock }),
          listOrderEvents: listOrderEvents({ orders: store }),
          watchOrder: watchOrder({ orders: store, watch }),
          getOrdersByUser: getOrdersByUser({ orders: store, pageTokens }),
          listOrders: listOrders({ orders: store, pageTokens }),
          auditOrders: auditOrders({ audit, pageTokens }),
          repairOrders: repairOrders({
            audit,
            orders: store,
            reservations,
            repeat: outbox.publishNow,
            upkeep: outbox.upkeep,
            decisions,
            stockDecisions,
            clock,
            log,
          }),
        });
        router.service(DeadLetterService, deadLetterService({ bus, pageTokens, events: allContracts, log }));
      },
      handlers: [
        eventHandler({
          ...consumerOf("orders", StockReservedSchema),
          maxBatch,
          handle: stockReserved({ stockDecisions }),
        }),
        eventHandler({
          ...consumerOf("orders", StockRejectedSchema),
          maxBatch,
          handle: stockRejected({ stockDecisions }),
        }),
        eventHandler({
          ...consumerOf("orders", UserDeletedSchema),
          maxBatch,
          handle: userDeleted({ orders: store }),
        }),
      ],
      notReady: recovery.notReady,
      jobs: [
        admission.job,
        recovery.job,
        {
          ...completeDecisions({ decisions, stockDecisions, afterMs: takeoverMs, log }),
          lease: lease("complete-decisions"),
        },
        {
          ...reconcileDecisions({ orders: store, reservations, stockDecisions, clock, log }),
          // The lease keeps the name that older releases, which may run beside this one, hold it by.
          lease: lease("ask-for-decisions"),
        },
        {
          ...cancelUndecidedOrders({
            orders: store,
            clock,
            log,
            decisionDeadlineMs,
            decidedAfter,
          }),
          lease: lease("cancel-undecided-orders"),
        },
        auditJob({
          audit,
          reports,
          lease: lease("audit-orders"),
          intervalMs: config.AUDIT_INTERVAL_SECONDS * 1000,
          clock,
          log,
        }),
      ],
      outboxes: [
        // The writer of an unpublished event may not have announced its change either.
        outbox.work({ before: async (left) => notices.announce(left.map(({ _id }) => _id)) }),
      ],
      gauges: [outboxGauges("orders-decisions", decisions), auditGauges("orders", reports)],
      refusal: (method) => (method === OrderService.method.createOrder ? admission.refusal() : undefined),
      async close() {
        await stockDecisions.close();
        notices.close();
      },
    };
  },
});
