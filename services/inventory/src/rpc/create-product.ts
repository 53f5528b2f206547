import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import { type Clock, DomainError, invalidFields, newId } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import { idempotencyKeyOf } from "../adapters/proto/idempotency-key.ts";
import { missingDetails, toDetails, toProductMessage } from "../adapters/proto/product.ts";
import type { Categories } from "../application/ports/categories.ts";
import type { LedgerStore } from "../application/ports/ledger-store.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import type { ProductCache } from "../application/product-cache.ts";
import { type IdempotencyKey, newProduct, type Product, type ProductDetails } from "../domain/product.ts";

/**
 * Adds a product; its stock is the first received movement. Safe to retry with an idempotency key, which the product itself claims by a
 * unique index: a repeated request gets the first response, even after the product changed.
 */
export function createProduct(on: {
  readonly ledger: LedgerStore;
  readonly products: ProductStore;
  readonly categories: Categories;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.createProduct> {
  /** The product as an earlier request with the same key created it. Throws REQUEST_ID_REUSED if its content differs. */
  async function repeated(
    key: IdempotencyKey | undefined,
    details: ProductDetails,
    stock: number,
  ): Promise<Product | undefined> {
    const made = key && (await on.products.findByRequest(key));
    if (made === undefined) return undefined;
    if (made.hash !== key?.hash) throw requestIdReused(key?.id ?? "");
    const { category = details.category } = made;
    return newProduct(made.productId, { ...details, category }, stock, made.createTime);
  }

  return async ({ product, requestId }, context) => {
    const wanted = product!;
    const requested = toDetails(wanted);
    const missing = missingDetails(requested);
    if (missing.length > 0) throw invalidFields(missing);
    const actor = actorOf(callerOf(context));
    const key = idempotencyKeyOf(requestId, wanted, actor);
    const before = await repeated(key, requested, wanted.stock);
    if (before !== undefined) return { product: toProductMessage(before) };

    const spellingOf = await on.categories.spellingsOf([requested.category]);
    const details = { ...requested, category: spellingOf(requested.category) };
    const added = newProduct(newId("product"), details, wanted.stock, on.clock());
    let taken: unknown;
    const claim = key && { ...key, category: details.category };
    const outcome = await on.ledger.insertProducts([added], actor, claim).catch((error: unknown) => {
      // A concurrent request with the same key may have taken the SKU.
      if (key === undefined || !(error instanceof DomainError && error.reason === "SKU_TAKEN")) throw error;
      taken = error;
      return "request_made" as const;
    });
    if (outcome === "inserted") {
      await on.cache.changed(added);
      return { product: toProductMessage(added) };
    }
    const first = await repeated(key, requested, wanted.stock);
    if (first === undefined) throw taken ?? requestUnsettled();
    return { product: toProductMessage(first) };
  };
}
