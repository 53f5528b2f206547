import type { Cache } from "@shop/cache";
import { newId } from "@shop/core";
import type { ChangeNotices } from "@shop/messaging";
import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { openStores } from "../adapters/mongo/open-stores.ts";
import { createDecideOrders } from "../application/decide-orders.ts";
import { createProductCache } from "../application/product-cache.ts";
import type { Product } from "../domain/product.ts";

/** A cache that stores nothing. */
const noCache: Cache = {
  read: () => ({
    get: async (_key, load) => (await load())?.value,
    peek: () => undefined,
    invalidate: async () => {},
    invalidateAll: async () => {},
  }),
};

/** Inventory's stores on their own database; without a cache, unless one is given. */
export async function openTestInventory(cache = noCache, announce: ChangeNotices["announce"] = () => {}) {
  const [db, bus] = [await openTestDb(), await openTestBus()];
  await bus.ensureStream("inventory", ["shop.inventory.v1.>"]);
  const productCache = createProductCache(cache);
  const stores = await openStores({ db, bus, log: silentLog, invalidateCache: productCache.moved, announce });
  const { products, ledger, ledgerDocuments } = stores;
  const clock = () => new Date();

  async function stockOf(productId: string) {
    const { onHand, reserved } = (await products.balancesOf([productId], "all")).get(productId)!;
    return { onHand, reserved };
  }

  /** The sum of the ledger's moves, which the balance has to equal. */
  async function ledgerSumOf(productId: string) {
    const entries = await ledgerDocuments.find({ "moves.product_id": productId }).toArray();
    const moves = entries.flatMap((entry) => entry.moves).filter((move) => move.product_id === productId);
    return {
      onHand: moves.reduce((sum, move) => sum + move.on_hand_delta, 0),
      reserved: moves.reduce((sum, move) => sum + move.reserved_delta, 0),
    };
  }

  /** Adds a product and returns its id. */
  async function addProduct(onHand: number, sku?: string): Promise<string> {
    const productId = newId("product");
    await ledger.insertProducts([newProduct(productId, onHand, sku)], "test");
    return productId;
  }

  return {
    db,
    ...stores,
    cache: productCache,
    clock,
    decide: createDecideOrders({ ledger, products, clock }),
    stockOf,
    ledgerSumOf,
    addProduct,
  };
}

export function newProduct(productId: string, onHand: number, sku?: string): Product {
  const now = new Date();
  return {
    productId,
    details: {
      name: "Thing",
      description: "",
      category: "Things",
      price: { currencyCode: "EUR", minorUnits: 100n },
      sku,
      imageUrl: "",
      attributes: {},
      state: "active",
    },
    version: 1,
    balance: { onHand, reserved: 0, sequence: 1 },
    createTime: now,
    updateTime: now,
  };
}
