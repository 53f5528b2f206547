import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Product, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { IdempotencyKey } from "../../domain/product.ts";
import { toDetails, toDetailsMessage } from "./product.ts";

/** The request's idempotency key with a hash of its content; undefined when it has no key. */
export function idempotencyKeyOf(requestId: string, wanted: Product, actor: string): IdempotencyKey | undefined {
  return requestId === "" ? undefined : { actor, id: requestId, hash: contentHashOf(wanted) };
}

/** Hashes the product without output-only fields, and with sorted attributes. */
function contentHashOf(wanted: Product): string {
  const { attributes, ...details } = toDetailsMessage(toDetails(wanted));
  const content = create(ProductSchema, {
    ...details,
    stock: wanted.stock,
    attributes: Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
  });
  return createHash("sha256").update(toBinary(ProductSchema, content)).digest("base64");
}
