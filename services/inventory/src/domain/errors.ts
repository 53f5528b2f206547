import { DomainError } from "@shop/core";
import type { Balance } from "./product.ts";

export function productNotFound(productId: string): DomainError {
  return new DomainError("not_found", "PRODUCT_NOT_FOUND", "there is no such product", {
    metadata: { product_id: productId },
  });
}

export function productNotDeleted(productId: string): DomainError {
  return new DomainError("already_exists", "PRODUCT_NOT_DELETED", "the product is in the catalogue", {
    metadata: { product_id: productId },
  });
}

export function skuTaken(sku: string): DomainError {
  return new DomainError("already_exists", "SKU_TAKEN", "another product has that SKU", { metadata: { sku } });
}

export function productChanged(productId: string, etag: string): DomainError {
  return new DomainError("aborted", "PRODUCT_CHANGED", "the product has changed since it was read: read it again", {
    metadata: { product_id: productId, etag },
  });
}

export function stockOutOfBounds(productId: string, { onHand, reserved }: Balance): DomainError {
  return new DomainError(
    "failed_precondition",
    "STOCK_OUT_OF_BOUNDS",
    `${onHand} units are on hand and ${reserved} of them are reserved: the adjustment is out of bounds`,
    { metadata: { product_id: productId, on_hand: String(onHand), reserved: String(reserved) } },
  );
}

export function searchTooBroad(): DomainError {
  return new DomainError("resource_exhausted", "SEARCH_TOO_BROAD", "the search takes too long: narrow it down");
}

/** @param sequence the current one */
export function stockHistoryTooLong(productId: string, sequence: number): DomainError {
  return new DomainError(
    "failed_precondition",
    "STOCK_HISTORY_TOO_LONG",
    "too many movements since then: watch from the current stock",
    { metadata: { product_id: productId, sequence: String(sequence) } },
  );
}
