import type { Balances } from "../../domain/ledger.ts";
import type { IdempotencyKey, Product, ProductDetails } from "../../domain/product.ts";

/** The catalogue. Deleted products are not found, except where noted; the ledger keeps their stock. */
export interface ProductStore {
  findById(productId: string): Promise<Product | undefined>;
  /** The active products among these; with `fields`, only the data of these fields, and the rest empty. */
  findSold(productIds: readonly string[], fields?: ReadonlySet<string>): Promise<Product[]>;
  /** The product that was created with this idempotency key, even if it is deleted. */
  findByRequest(key: Pick<IdempotencyKey, "actor" | "id">): Promise<CreatedProduct | undefined>;
  /** Products by the SKUs as given, compared without case. */
  findBySkus(skus: readonly string[]): Promise<ReadonlyMap<string, Product>>;
  /** Writes details by compare-and-set: undefined when the version is no longer `read`'s. Throws SKU_TAKEN. */
  update(read: Product, details: ProductDetails, now: Date): Promise<Product | undefined>;
  /** The same for many products whose SKUs do not change. Returns the number of products written. */
  updateMany(changes: readonly ProductChange[], now: Date): Promise<number>;
  /** Deletes a product, only if it has `version` when given. Returns the deleted version; undefined when nothing was deleted. */
  remove(productId: string, version: number | undefined, now: Date): Promise<number | undefined>;
  /** Undeletes a product; undefined when it is not deleted. Throws SKU_TAKEN. */
  restore(productId: string, now: Date): Promise<Product | undefined>;
  /** The sequence of the last movement of each of these products that is active or archived. */
  sequencesOf(productIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** `sold`: active products, for reserving. `catalogue`: archived ones, too. `all`: deleted ones, too, for closing reservations. */
  balancesOf(productIds: readonly string[], among: "sold" | "catalogue" | "all"): Promise<Balances>;
}

/** The stored facts of a creation with an idempotency key. */
export interface CreatedProduct extends Pick<Product, "productId" | "createTime"> {
  /** Of the request's content. */
  readonly hash: string;
  /** The spelling that was stored; undefined when it is the request's. */
  readonly category: string | undefined;
}

export interface ProductChange {
  readonly read: Product;
  readonly details: ProductDetails;
}
