import type { MethodImpl } from "@connectrpc/connect";
import type { PageTokens } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { type Audit, answerAudit } from "@shop/runtime";
import type { OrderAuditPosition } from "../application/order-audit.ts";

/** Audits a part of the orders. Safe to retry. */
export function auditOrders(on: {
  readonly audit: Audit<OrderAuditPosition>;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof OrderService.method.auditOrders> {
  return async ({ pageToken }) => await answerAudit(on, pageToken);
}
