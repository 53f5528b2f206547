import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type CreateOrderRequest, CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { type IdempotencyKey, sumByProduct } from "../../domain/order.ts";

/** The request's idempotency key with a hash of its content; undefined when it has no key. */
export function idempotencyKeyOf(request: CreateOrderRequest): IdempotencyKey | undefined {
  return request.requestId === "" ? undefined : { id: request.requestId, hash: contentHashOf(request) };
}

/** Whether the request has the same content as the one that was stored with this hash. */
export function hasSameContent(request: CreateOrderRequest, hash: string): boolean {
  // Older releases hashed the lines as they were sent.
  return hash === contentHashOf(request) || hash === hashOf({ ...request, requestId: "" });
}

/** Hashes the quantity of each product and the expected total; the order and split of the lines make no difference. */
function contentHashOf({ items, expectedTotal }: CreateOrderRequest): string {
  const wanted = sumByProduct(items).sort((a, b) => (a.productId < b.productId ? -1 : 1));
  return hashOf(create(CreateOrderRequestSchema, { items: wanted, ...(expectedTotal && { expectedTotal }) }));
}

function hashOf(request: CreateOrderRequest): string {
  return createHash("sha256").update(toBinary(CreateOrderRequestSchema, request)).digest("base64");
}
