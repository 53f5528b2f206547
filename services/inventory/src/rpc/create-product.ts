import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { actorOf, type Clock, callerOf, invalidFields, newId } from "@shop/platform";
import { newProduct } from "../domain/product.ts";
import type { ProductCache } from "../product-cache.ts";
import type { LedgerStore } from "../store/ledger-store.ts";
import { missingDetails, toDetails, toProductMessage } from "../wire/product.ts";

/** Adds a product; its stock is the first received movement. A retry after a lost answer is safe with a SKU: SKU_TAKEN. */
export function createProduct(on: {
  readonly ledger: LedgerStore;
  readonly cache: ProductCache;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.createProduct> {
  return async (request, context) => {
    const wanted = request.product!;
    const details = toDetails(wanted);
    const missing = missingDetails(details);
    if (missing.length > 0) throw invalidFields(missing);
    const product = newProduct(newId("product"), details, wanted.stock, on.clock());
    await on.ledger.insertProducts([product], actorOf(callerOf(context)));
    await on.cache.changed(product);
    return { product: toProductMessage(product) };
  };
}
