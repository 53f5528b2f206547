import { DomainError } from "@shop/platform";

export function productNotFound(productId: string): DomainError {
  return new DomainError("not_found", "PRODUCT_NOT_FOUND", "there is no such product", {
    metadata: { product_id: productId },
  });
}

export function skuTaken(sku: string): DomainError {
  return new DomainError("already_exists", "SKU_TAKEN", "another product carries that SKU", { metadata: { sku } });
}

export function productChanged(productId: string, etag: string): DomainError {
  return new DomainError("aborted", "PRODUCT_CHANGED", "the product has changed since it was read: read it again", {
    metadata: { product_id: productId, etag },
  });
}
