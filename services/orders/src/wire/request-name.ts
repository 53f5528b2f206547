import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type CreateOrderRequest, CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { invalidFields } from "@shop/platform";
import { requestIdsDiffer } from "../domain/errors.ts";
import type { RequestName } from "../domain/order.ts";

/** A draft of the IETF (draft-ietf-httpapi-idempotency-key-header) that payment and shop APIs follow. */
const idempotencyKeyHeader = "idempotency-key";
const requestIdFormat = /^[\x21-\x7e]{1,128}$/;

/** How the caller names this request, by its field or by the header; undefined when it does not. */
export function requestNameOf(request: CreateOrderRequest, header: Headers): RequestName | undefined {
  const fromHeader = header.get(idempotencyKeyHeader)?.trim() ?? "";
  if (fromHeader !== "" && request.requestId !== "" && fromHeader !== request.requestId) throw requestIdsDiffer();
  const id = request.requestId || fromHeader;
  if (id === "") return undefined;
  if (!requestIdFormat.test(id)) {
    throw invalidFields([{ field: "request_id", description: "is not 1 to 128 visible characters" }]);
  }
  const asked = create(CreateOrderRequestSchema, { ...request, requestId: "" });
  return { id, hash: createHash("sha256").update(toBinary(CreateOrderRequestSchema, asked)).digest("base64") };
}
