import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Product, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { ProductRequest } from "../../domain/product.ts";
import { toDetails, toDetailsMessage } from "./product.ts";

/** How the caller names the request for a new product, with what it asks for; undefined when it does not. */
export function productRequestOf(requestId: string, wanted: Product, actor: string): ProductRequest | undefined {
  return requestId === "" ? undefined : { actor, id: requestId, hash: meaningOf(wanted) };
}

/** The hash of what a new product is to be: nothing of what the server decides, and attributes in one order. */
function meaningOf(wanted: Product): string {
  const { attributes, ...details } = toDetailsMessage(toDetails(wanted));
  const meaning = create(ProductSchema, {
    ...details,
    stock: wanted.stock,
    attributes: Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
  });
  return createHash("sha256").update(toBinary(ProductSchema, meaning)).digest("base64");
}
