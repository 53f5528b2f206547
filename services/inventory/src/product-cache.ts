import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Product as ProductMessage, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Cache, Logger } from "@shop/platform";
import { gather } from "@shop/platform";
import type { Product } from "./domain/product.ts";
import type { ProductStore } from "./store/product-store.ts";
import { toProductMessage } from "./wire/product.ts";

/** Products as they are answered, in front of the database. */
export interface ProductCache {
  get(productId: string): Promise<ProductMessage | undefined>;
  /** Keeps what was just read, unless something newer is known; answers it as a message. */
  fill(product: Product): ProductMessage;
  /** After a commit: nobody reads what was before. */
  invalidate(changed: readonly Pick<Product, "productId" | "revision">[]): Promise<void>;
  /** After a commit that moved stock: nobody reads what was before. Never rejects; what moves meanwhile is told together. */
  invalidateMoved(productIds: readonly string[]): Promise<void>;
}

export function createProductCache(cache: Cache, revisionsOf: ProductStore["revisionsOf"], log: Logger): ProductCache {
  const keyOf = (productId: string) => `inventory:product:${productId}`;
  const invalidate: ProductCache["invalidate"] = (changed) =>
    cache.invalidate(changed.map(({ productId, revision }) => ({ key: keyOf(productId), revision })));

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
    invalidateMoved: gather<readonly string[]>({
      maxItems: 64,
      maxInFlight: 1,
      async work(moved) {
        try {
          await invalidate(await revisionsOf([...new Set(moved.flat())]));
        } catch (error) {
          log.warn({ err: error }, "cached stock may be old until it expires");
        }
        return new Map();
      },
    }),
  };
}
