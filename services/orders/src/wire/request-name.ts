import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type CreateOrderRequest, CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { requestIdOf } from "@shop/platform";
import type { RequestName } from "../domain/order.ts";

/** How the caller names this request, with what it asks for; undefined when it does not. */
export function requestNameOf(request: CreateOrderRequest, header: Headers): RequestName | undefined {
  const id = requestIdOf(request.requestId, header);
  if (id === undefined) return undefined;
  const asked = create(CreateOrderRequestSchema, { ...request, requestId: "" });
  return { id, hash: createHash("sha256").update(toBinary(CreateOrderRequestSchema, asked)).digest("base64") };
}
