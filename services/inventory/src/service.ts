import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import {
  OrderCancelledSchema,
  OrderPlacedSchema,
  OrderReturnedSchema,
  OrderShippedSchema,
} from "@shop/gen/shop/orders/v1/events_pb";
import { eventHandler, openChangeNotices } from "@shop/messaging";
import { cachedAnswers } from "@shop/rpc-server";
import { auditGauges, auditJob, createAuditReports, createChanges, createWatches, defineModule } from "@shop/runtime";
import { consumerOf } from "@shop/topology";
import { locate } from "@shop/topology/settings";
import { openStores } from "./adapters/mongo/open-stores.ts";
import { createDecideOrders } from "./application/decide-orders.ts";
import { createProductCache } from "./application/product-cache.ts";
import { createStockAudit } from "./application/stock-audit.ts";
import { inventoryConfig } from "./config.ts";
import { orderClosed } from "./events/order-closed.ts";
import { orderPlaced } from "./events/order-placed.ts";
import { adjustStock } from "./rpc/adjust-stock.ts";
import { auditStock } from "./rpc/audit-stock.ts";
import { batchGetProducts } from "./rpc/batch-get-products.ts";
import { batchGetReservations } from "./rpc/batch-get-reservations.ts";
import { createProduct } from "./rpc/create-product.ts";
import { decideOrders } from "./rpc/decide-orders.ts";
import { deleteProduct } from "./rpc/delete-product.ts";
import { getProductByID } from "./rpc/get-product-by-id.ts";
import { importProducts } from "./rpc/import-products.ts";
import { listProducts } from "./rpc/list-products.ts";
import { listReservations } from "./rpc/list-reservations.ts";
import { listStockMovements } from "./rpc/list-stock-movements.ts";
import { repairStock } from "./rpc/repair-stock.ts";
import { undeleteProduct } from "./rpc/undelete-product.ts";
import { updateProduct } from "./rpc/update-product.ts";
import { watchStock } from "./rpc/watch-stock.ts";

/** Events, and so orders, of one batch. */
const maxBatch = 1_024;

export const inventory = defineModule({
  name: "inventory",
  config: inventoryConfig,
  implements: [InventoryService],
  forwardedBy: ["gateway"],
  port: (config) => config.INVENTORY_PORT,
  upstreams: (config) => locate(config, TokenKeyService),
  publishes: "shop.inventory.v1",
  async start({ config, db, bus, cache, clock, log, lease, pageTokens, revocations, stopping }) {
    const productCache = createProductCache(cache);
    const stores = await openStores({
      db,
      bus,
      log,
      invalidateCache: productCache.moved,
      announce: (productIds) => notices.announce(productIds),
    });
    // Not earlier: a failed attempt to start leaves nothing open.
    const notices = openChangeNotices(bus, "inventory");
    const { products, categories, search, ledger, history, outbox, auditStore } = stores;
    const watch = createWatches({
      changes: createChanges({ notices, versionsOf: products.sequencesOf, log }),
      revocations,
      max: config.STOCK_WATCHES_AT_ONCE,
      maxPerCaller: config.STOCK_WATCHES_PER_CALLER,
      maxPerNetwork: config.STOCK_WATCHES_PER_NETWORK,
      stopping,
    });
    const stock = { ledger, products, clock };
    const decide = createDecideOrders(stock);
    const audit = createStockAudit({ store: auditStore, upkeep: outbox.upkeep, clock });
    const reports = createAuditReports(db, audit.name);
    // Two processes that write entries about the same products would mostly conflict, so a lease gives the events to one of them.
    const writer = lease("ledger-writer");
    return {
      routes: (router) =>
        router.service(InventoryService, {
          createProduct: createProduct({ ledger, products, categories, cache: productCache, clock }),
          listProducts: listProducts({ search, cache: productCache, pageTokens }),
          getProductByID: getProductByID({ products, cache: productCache }),
          updateProduct: updateProduct({ products, categories, cache: productCache, clock }),
          deleteProduct: deleteProduct({ products, cache: productCache, clock }),
          undeleteProduct: undeleteProduct({ products, cache: productCache, clock }),
          importProducts: importProducts({ products, categories, ledger, cache: productCache, clock }),
          adjustStock: adjustStock(stock),
          listStockMovements: listStockMovements({ ledger, products, pageTokens }),
          watchStock: watchStock({ products, history, watch }),
          batchGetProducts: batchGetProducts({ products }),
          batchGetReservations: batchGetReservations({ store: auditStore }),
          decideOrders: decideOrders({ decide }),
          listReservations: listReservations({ store: auditStore, pageTokens }),
          auditStock: auditStock({ audit, pageTokens }),
          repairStock: repairStock({ audit, ledger, store: auditStore, upkeep: outbox.upkeep, log }),
        }),
      cachedAnswers: [
        cachedAnswers(InventoryService.method.getProductByID, ({ productId }) => productCache.cachedProduct(productId)),
        cachedAnswers(InventoryService.method.listProducts, (request) => productCache.cachedPage(request)),
      ],
      handlers: [
        eventHandler({
          ...consumerOf("inventory", OrderPlacedSchema),
          maxBatch,
          lease: writer,
          handle: orderPlaced({ decide, repeat: outbox.publishNow, clock }),
        }),
        eventHandler({
          ...consumerOf("inventory", OrderCancelledSchema),
          maxBatch,
          lease: writer,
          handle: orderClosed(stock, "released"),
        }),
        eventHandler({
          ...consumerOf("inventory", OrderShippedSchema),
          maxBatch,
          lease: writer,
          handle: orderClosed(stock, "shipped"),
        }),
        eventHandler({
          ...consumerOf("inventory", OrderReturnedSchema),
          maxBatch,
          lease: writer,
          handle: orderClosed(stock, "returned"),
        }),
      ],
      jobs: [
        auditJob({
          audit,
          reports,
          lease: lease("audit-stock"),
          intervalMs: config.AUDIT_INTERVAL_SECONDS * 1000,
          clock,
          log,
        }),
      ],
      outboxes: [
        outbox.work({
          // An unpublished entry may not have been projected either.
          async before(entries) {
            const productIds = [...new Set(entries.flatMap((entry) => entry.moves.map((move) => move.product_id)))];
            await ledger.catchUp(productIds);
          },
        }),
      ],
      gauges: [auditGauges("inventory", reports)],
      close: async () => notices.close(),
    };
  },
});
