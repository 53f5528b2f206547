import type { MethodImpl } from "@connectrpc/connect";
import type { PageTokens } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { answerAudit } from "@shop/runtime";
import type { StockAudit } from "../application/stock-audit.ts";

/** Audits a part of the stock. Safe to retry. */
export function auditStock(on: {
  readonly audit: StockAudit;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof InventoryService.method.auditStock> {
  return async ({ pageToken }) => await answerAudit(on, pageToken);
}
