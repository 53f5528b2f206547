import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Product as ProductMessage, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Cache } from "@shop/platform";
import { gather } from "@shop/platform";
import type { Product, ProductRevision } from "./domain/product.ts";
import { toProductMessage } from "./wire/product.ts";

/** Products as they are answered, in front of the database. */
export interface ProductCache {
  get(productId: string): Promise<ProductMessage | undefined>;
  /** Keeps what was just read, unless something newer is known; answers it as a message. */
  fill(product: Product): ProductMessage;
  /** After a commit: nobody reads what was before. Never rejects; what changes meanwhile is told together. */
  invalidate(changed: readonly ProductRevision[]): Promise<void>;
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
      const { productId, version, balance } = product;
      void cache.fill(keyOf(productId), [version, balance.sequence], toBinary(ProductSchema, message));
      return message;
    },
    invalidate: gather<readonly ProductRevision[]>({
      maxItems: 64,
      maxInFlight: 1,
      async work(changed) {
        const marks = changed.flat().map(({ productId, version, sequence }) => {
          return { key: keyOf(productId), revision: [version, sequence] } as const;
        });
        await cache.invalidate(marks);
        return new Map();
      },
    }),
  };
}
