import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type CreateOrderRequest, CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { type RequestName, sumByProduct } from "../../domain/order.ts";

/** How the caller names this request, with what it asks for; undefined when it does not. */
export function requestNameOf(request: CreateOrderRequest): RequestName | undefined {
  return request.requestId === "" ? undefined : { id: request.requestId, hash: meaningOf(request) };
}

/** Whether the request that was stored with this hash asked for the same. */
export function asksForTheSame(request: CreateOrderRequest, hash: string): boolean {
  // Releases before this one hashed the lines as they were sent.
  return hash === meaningOf(request) || hash === hashOf({ ...request, requestId: "" });
}

/** The hash of what an order asks for: how much of each product, however its lines are split up and ordered. */
function meaningOf({ items, expectedTotal }: CreateOrderRequest): string {
  const wanted = sumByProduct(items).sort((a, b) => (a.productId < b.productId ? -1 : 1));
  return hashOf(create(CreateOrderRequestSchema, { items: wanted, ...(expectedTotal && { expectedTotal }) }));
}

function hashOf(request: CreateOrderRequest): string {
  return createHash("sha256").update(toBinary(CreateOrderRequestSchema, request)).digest("base64");
}
