import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import {
  OrderCancelledSchema,
  OrderPlacedSchema,
  OrderReturnedSchema,
  OrderShippedSchema,
} from "@shop/gen/shop/orders/v1/events_pb";
import { defineModule, eventHandler, sweepLeaseMs } from "@shop/platform";
import { inventoryConfig } from "./config.ts";
import { orderClosed } from "./events/order-closed.ts";
import { orderPlaced } from "./events/order-placed.ts";
import { openStores } from "./open-stores.ts";
import { createProductCache } from "./product-cache.ts";
import { adjustStock } from "./rpc/adjust-stock.ts";
import { batchGetProducts } from "./rpc/batch-get-products.ts";
import { createProduct } from "./rpc/create-product.ts";
import { deleteProduct } from "./rpc/delete-product.ts";
import { getProductByID } from "./rpc/get-product-by-id.ts";
import { listProducts } from "./rpc/list-products.ts";
import { listStockMovements } from "./rpc/list-stock-movements.ts";
import { updateProduct } from "./rpc/update-product.ts";

/** Events decided by one entry of the ledger at most. */
const maxBatch = 256;
/** Two that write entries about the same products waste most of them, so one does; another one follows when it dies. */
const writerLeaseMs = 4_000;

export const inventory = defineModule({
  name: "inventory",
  config: inventoryConfig,
  implements: [InventoryService],
  port: (config) => config.INVENTORY_PORT,
  neighbours: (config) => [{ service: TokenKeyService, urls: config.USERS_URL }],
  emits: "shop.inventory.v1",
  async start({ db, bus, cache, clock, log, lease, pageTokens }) {
    const { products, ledger, outbox } = await openStores({ db, bus, log });
    const productCache = createProductCache(cache);
    const stock = { ledger, products, cache: productCache, clock };
    const writer = lease("ledger-writer", writerLeaseMs);
    return {
      routes: (router) =>
        router.service(InventoryService, {
          createProduct: createProduct({ ledger, clock }),
          listProducts: listProducts({ products, pageTokens }),
          getProductByID: getProductByID({ products, cache: productCache }),
          updateProduct: updateProduct({ products, cache: productCache, clock }),
          deleteProduct: deleteProduct({ products, cache: productCache, clock }),
          adjustStock: adjustStock(stock),
          listStockMovements: listStockMovements({ ledger, products, pageTokens }),
          batchGetProducts: batchGetProducts({ products }),
        }),
      handlers: [
        eventHandler({
          durable: "inventory-order-placed",
          stream: "orders",
          event: OrderPlacedSchema,
          maxBatch,
          lease: writer,
          handle: orderPlaced({ ...stock, repeat: outbox.publishNow }),
        }),
        eventHandler({
          durable: "inventory-order-cancelled",
          stream: "orders",
          event: OrderCancelledSchema,
          maxBatch,
          lease: writer,
          handle: orderClosed(stock, "released"),
        }),
        eventHandler({
          durable: "inventory-order-shipped",
          stream: "orders",
          event: OrderShippedSchema,
          maxBatch,
          lease: writer,
          handle: orderClosed(stock, "shipped"),
        }),
        eventHandler({
          durable: "inventory-order-returned",
          stream: "orders",
          event: OrderReturnedSchema,
          maxBatch,
          lease: writer,
          handle: orderClosed(stock, "returned"),
        }),
      ],
      jobs: [
        outbox.sweeper({
          lease: lease("sweep-ledger-outbox", sweepLeaseMs),
          // An entry that was not published may not have been projected either.
          async before(entries) {
            const productIds = [...new Set(entries.flatMap((entry) => entry.moves.map((move) => move.product_id)))];
            await productCache.invalidate(await ledger.catchUp(productIds));
          },
        }),
      ],
      close: () => outbox.close(),
    };
  },
});
