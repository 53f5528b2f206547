import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Product as ProductMessage, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Cache, Logger } from "@shop/platform";
import type { Product } from "./domain/product.ts";
import type { ProductStore } from "./store/product-store.ts";
import { toProductMessage } from "./wire/product.ts";

/** Stock that orders move is told of together, this often: a page may show it so much later. */
const gatherMs = 100;

/** Products as they are answered, in front of the database. */
export interface ProductCache {
  get(productId: string): Promise<ProductMessage | undefined>;
  /** Keeps what was just read, unless something newer is known; answers it as a message. */
  fill(product: Product): ProductMessage;
  /** After a commit: nobody reads what was before. */
  invalidate(changed: readonly Pick<Product, "productId" | "revision">[]): Promise<void>;
  /** After a commit that moved stock: soon nobody reads what was before. Never rejects. */
  invalidateSoon(productIds: readonly string[]): void;
}

export function createProductCache(cache: Cache, revisionsOf: ProductStore["revisionsOf"], log: Logger): ProductCache {
  const keyOf = (productId: string) => `inventory:product:${productId}`;
  const moved = new Set<string>();
  let telling = false;

  const invalidate: ProductCache["invalidate"] = (changed) =>
    cache.invalidate(changed.map(({ productId, revision }) => ({ key: keyOf(productId), revision })));

  async function tellOfMoved(): Promise<void> {
    telling = true;
    while (moved.size > 0) {
      const productIds = [...moved];
      moved.clear();
      try {
        await invalidate(await revisionsOf(productIds));
      } catch (error) {
        log.debug({ err: error }, "cached stock may be old until it expires");
      }
      await delay(gatherMs);
    }
    telling = false;
  }

  return {
    async get(productId) {
      const bytes = await cache.get(keyOf(productId));
      return bytes === undefined ? undefined : fromBinary(ProductSchema, bytes);
    },
    fill(product) {
      const message = create(ProductSchema, toProductMessage(product));
      // Nobody waits for the cache to have kept it.
      void cache.fill(keyOf(product.productId), product.revision, toBinary(ProductSchema, message));
      return message;
    },
    invalidate,
    invalidateSoon(productIds) {
      for (const productId of productIds) moved.add(productId);
      if (!telling) void tellOfMoved();
    },
  };
}
