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

/** The catalogue as it is answered, in front of the database. Nothing that decides an order comes from here. */
export interface ProductCache {
  /** As it is, with its stock. `load` answers undefined for what is not in the catalogue. */
  product(productId: string, load: () => Promise<Product | undefined>): Promise<GetProductByIDResponse | undefined>;
  /** The same, if that can be answered without waiting for anything. */
  productAtHand(productId: string): GetProductByIDResponse | undefined;
  /** A page as the catalogue is; the stock that it shows is at most two seconds old. */
  page(
    request: ListProductsRequest,
    load: () => Promise<MessageInitShape<typeof ListProductsResponseSchema>>,
  ): Promise<ListProductsResponse>;
  pageAtHand(request: ListProductsRequest): ListProductsResponse | undefined;
  /** After a commit that changed what the catalogue says: nobody reads what was before. Never rejects. */
  changed(...products: readonly Omit<ProductRevision, "sequence">[]): Promise<void>;
  /** After a commit that moved stock: nobody is told what it was before, except by pages. Never rejects. */
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
    // No movement of stock ends a page: so long it may show what the stock was.
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
    productAtHand: (productId) => products.peek(productId),
    pageAtHand: (request) => pages.peek(keyOf(request)),
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
