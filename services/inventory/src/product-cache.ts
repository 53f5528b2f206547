import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Product as ProductMessage, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Cache } from "@shop/platform";
import type { Product } from "./domain/product.ts";
import type { MovedProduct } from "./store/ledger-store.ts";
import { toProductMessage } from "./wire/product.ts";

/** Products as they are answered, in front of the database. */
export interface ProductCache {
  get(productId: string): Promise<ProductMessage | undefined>;
  /** Keeps what was just read, unless something newer is known; answers it as a message. */
  fill(product: Product): ProductMessage;
  /** After a commit: nobody reads what was before. */
  invalidate(changed: readonly MovedProduct[]): Promise<void>;
}

export function createProductCache(cache: Cache): ProductCache {
  const keyOf = (productId: string) => `inventory:product:${productId}`;
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
    async invalidate(changed) {
      await Promise.all(changed.map(({ productId, revision }) => cache.invalidate(keyOf(productId), revision)));
    },
  };
}
