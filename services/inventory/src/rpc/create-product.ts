import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import { type Clock, DomainError, invalidFields, newId } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import type { Categories } from "../adapters/mongo/categories.ts";
import type { LedgerStore } from "../adapters/mongo/ledger-store.ts";
import type { ProductStore } from "../adapters/mongo/product-store.ts";
import { missingDetails, toDetails, toProductMessage } from "../adapters/proto/product.ts";
import { productRequestOf } from "../adapters/proto/product-request.ts";
import type { ProductCache } from "../application/product-cache.ts";
import { newProduct, type Product, type ProductDetails, type ProductRequest } from "../domain/product.ts";

/**
 * Adds a product; its stock is the first received movement. Safe to retry when the request is named: the product itself is the
 * claim on the name, and the same request gets the same answer, whatever became of the product since.
 */
export function createProduct(on: {
  readonly ledger: LedgerStore;
  readonly products: ProductStore;
  readonly categories: Categories;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.createProduct> {
  /** The product as the request made it, if it was made before. */
  async function repeated(
    request: ProductRequest | undefined,
    details: ProductDetails,
    stock: number,
  ): Promise<Product | undefined> {
    const made = request && (await on.products.findByRequest(request));
    if (made === undefined) return undefined;
    if (made.hash !== request?.hash) throw requestIdReused(request?.id ?? "");
    const { category = details.category } = made;
    return newProduct(made.productId, { ...details, category }, stock, made.createTime);
  }

  return async ({ product, requestId }, context) => {
    const wanted = product!;
    const asked = toDetails(wanted);
    const missing = missingDetails(asked);
    if (missing.length > 0) throw invalidFields(missing);
    const actor = actorOf(callerOf(context));
    const request = productRequestOf(requestId, wanted, actor);
    const before = await repeated(request, asked, wanted.stock);
    if (before !== undefined) return { product: toProductMessage(before) };

    const spellingOf = await on.categories.spellingsOf([asked.category]);
    const details = { ...asked, category: spellingOf(asked.category) };
    const added = newProduct(newId("product"), details, wanted.stock, on.clock());
    let taken: unknown;
    const claim = request && { ...request, category: details.category };
    const outcome = await on.ledger.insertProducts([added], actor, claim).catch((error: unknown) => {
      // Perhaps by the same request, made at the same moment.
      if (request === undefined || !(error instanceof DomainError && error.reason === "SKU_TAKEN")) throw error;
      taken = error;
      return "request_made" as const;
    });
    if (outcome === "inserted") {
      await on.cache.changed(added);
      return { product: toProductMessage(added) };
    }
    const first = await repeated(request, asked, wanted.stock);
    if (first === undefined) throw taken ?? requestUnsettled();
    return { product: toProductMessage(first) };
  };
}
