import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Cache } from "@shop/cache";
import {
  type GetProductByIDResponse,
  GetProductByIDResponseSchema,
  type ListProductsRequest,
  ListProductsRequestSchema,
  type ListProductsResponse,
  ListProductsResponseSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { deepFreeze, memoize } from "@shop/rest";
import { toProductMessage } from "../adapters/proto/product.ts";
import type { Product, ProductRevision } from "../domain/product.ts";

/** Cached responses of the catalogue. Prices and stock that decide an order are never read from here. */
export interface ProductCache {
  /** The current product with its stock. `load` returns undefined for a product that is not in the catalogue. */
  product(productId: string, load: () => Promise<Product | undefined>): Promise<GetProductByIDResponse | undefined>;
  /** The same if it is a fresh hit in memory; undefined otherwise. */
  cachedProduct(productId: string): GetProductByIDResponse | undefined;
  /** A page of the current catalogue; the stock that it shows is at most two seconds old. */
  page(
    request: ListProductsRequest,
    load: () => Promise<MessageInitShape<typeof ListProductsResponseSchema>>,
  ): Promise<ListProductsResponse>;
  cachedPage(request: ListProductsRequest): ListProductsResponse | undefined;
  /** To be called after a commit that changed details: invalidates the products and all pages. Never rejects. */
  changed(...products: readonly Omit<ProductRevision, "sequence">[]): Promise<void>;
  /** To be called after a commit that moved stock: invalidates the products, not the pages. Never rejects. */
  moved(products: readonly ProductRevision[]): Promise<void>;
}

export function createProductCache(cache: Cache): ProductCache {
  const products = cache.read<GetProductByIDResponse>({
    name: "inventory:product",
    encode: (message) => toBinary(GetProductByIDResponseSchema, message),
    decode: (bytes) => deepFreeze(fromBinary(GetProductByIDResponseSchema, bytes)),
    freshMs: 10_000,
    staleMs: 20_000,
  });
  const pages = cache.read<ListProductsResponse>({
    name: "inventory:page",
    encode: (message) => toBinary(ListProductsResponseSchema, message),
    decode: (bytes) => deepFreeze(fromBinary(ListProductsResponseSchema, bytes)),
    // Movements of stock don't invalidate a page, so its age bounds the age of the stock that it shows.
    freshMs: 1_000,
    staleMs: 1_000,
    anyKey: true,
  });
  const toKeyed = ({ productId, version, sequence }: ProductRevision) => {
    return { key: productId, revision: [version, sequence] } as const;
  };

  return {
    product: (productId, load) =>
      products.get(productId, async () => {
        const product = await load();
        if (product === undefined) return undefined;
        const { revision } = toKeyed({ ...product, sequence: product.balance.sequence });
        const answer = create(GetProductByIDResponseSchema, { product: toProductMessage(product) });
        return { value: deepFreeze(answer), revision };
      }),
    cachedProduct: (productId) => products.peek(productId),
    cachedPage: (request) => pages.peek(keyOf(request)),
    async page(request, load) {
      const page = await pages.get(keyOf(request), async () => ({
        value: deepFreeze(create(ListProductsResponseSchema, await load())),
      }));
      return page!;
    },
    async changed(...changed) {
      const revisions = changed.map((product) => toKeyed({ ...product, sequence: 0 }));
      await Promise.all([products.invalidate(revisions), pages.invalidateAll()]);
    },
    moved: (moved) => products.invalidate(moved.map(toKeyed)),
  };
}

function keyOf(request: ListProductsRequest): string {
  return memoize(request, "key of the page", () =>
    createHash("sha256").update(toBinary(ListProductsRequestSchema, request)).digest("base64url"),
  );
}
